// The metadata of one architecture: key "block_count" stands for "llama.block_count" in the file. Numbers are checked.
// Where one number is meant, files may have an array that holds the same one for every layer.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "gguf/gguf.h"

namespace fieldprint {

class Metadata {
 public:
  explicit Metadata(const GgufFile& file);  // of the file's general.architecture

  const GgufFile& file() const { return file_; }
  bool has(std::string_view key) const { return file_.find(name(key)) != nullptr; }

  // `least` .. `most`. Throws Error kBadFile that names the key; where it is absent too, unless there is a fallback.
  int integer(std::string_view key, int64_t least, int64_t most, std::optional<int64_t> fallback = {}) const;
  double number(std::string_view key, double least, double most, std::optional<double> fallback = {}) const;
  std::string_view string(std::string_view key, std::string_view fallback) const;
  // Which of `names` the key has. Throws Error kBadFile.
  int choice(std::string_view key, std::span<const std::string_view> names, std::optional<int> fallback = {}) const;
  bool boolean(std::string_view key, bool fallback) const { return file_.boolean(name(key), fallback); }

  // One for each layer: an array's first ones, or one value for all.
  std::vector<int> integers(std::string_view key, int layers, int64_t least, int64_t most,
                            std::optional<int64_t> fallback = {}) const;
  std::vector<std::string_view> strings(std::string_view key, int layers, std::string_view fallback) const;

  std::string name(std::string_view key) const { return prefix_ + std::string(key); }  // as the file has it
  [[noreturn]] void refuse(const std::string& what) const;                             // kBadFile
  [[noreturn]] void unsupported(const std::string& what, const std::string& hint = {}) const;

 private:
  const GgufArray* array(std::string_view key) const;  // nullptr where it is none
  const GgufArray& layer_array(std::string_view key, const GgufArray& array, int layers) const;

  const GgufFile& file_;
  std::string prefix_;
};

// Writes such keys.
class MetadataWriter {
 public:
  MetadataWriter(GgufWriter& writer, std::string_view architecture) : writer_(writer), prefix_(architecture) {
    prefix_ += '.';
  }

  void set(std::string_view key, int value) const;
  void set(std::string_view key, float value) const;
  void set(std::string_view key, std::string_view value) const;
  void set(std::string_view key, std::vector<std::string> values) const;
  void set(std::string_view key, const std::vector<bool>& values) const;
  void set_flag(std::string_view key, bool value) const { writer_.set(name(key), value); }
  // One for each layer: an array, or one value where all are alike.
  void set(std::string_view key, const std::vector<int>& layers) const;

 private:
  std::string name(std::string_view key) const { return prefix_ + std::string(key); }

  GgufWriter& writer_;
  std::string prefix_;
};

}  // namespace fieldprint
