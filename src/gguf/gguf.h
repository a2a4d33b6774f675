// GGUF files, versions 2 and 3, read and written. Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
// A file is hostile until checked: every count, offset and length is held against the file's size before memory is
// taken. What each byte means and what is refused: docs/formats/gguf.md. A GgufFile is immutable once open; views into
// it live as long as it does.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>
#include <vector>

#include "quant/type.h"

namespace fieldprint {

enum class GgufKind : uint32_t {
  kU8 = 0,
  kI8 = 1,
  kU16 = 2,
  kI16 = 3,
  kU32 = 4,
  kI32 = 5,
  kF32 = 6,
  kBool = 7,
  kString = 8,
  kArray = 9,
  kU64 = 10,
  kI64 = 11,
  kF64 = 12,
};
std::string_view gguf_kind_name(GgufKind kind);  // "u32", "string" ...

// An array value. Numbers stay where they lie in the file (unaligned); strings are views into it.
struct GgufArray {
  GgufKind kind = GgufKind::kU8;  // of the elements; never kArray (nested arrays are refused)
  uint64_t count = 0;
  const std::byte* data = nullptr;        // numeric kinds: count little-endian values
  std::vector<std::string_view> strings;  // kString only

  int64_t integer(uint64_t i) const;  // any integer or bool kind; Error kBadFile otherwise
  double number(uint64_t i) const;    // any numeric kind
};

struct GgufValue {
  GgufKind kind;
  std::variant<int64_t, uint64_t, double, bool, std::string_view, GgufArray>
      value;  // by kind: signed, unsigned, float ...
};

struct GgufTensor {
  std::string_view name;
  const QuantType* type = nullptr;
  int dims = 0;                               // 1..4
  std::array<uint64_t, 4> shape{1, 1, 1, 1};  // fastest first: shape[0] is a row's length
  const std::byte* data = nullptr;            // aligned to 8 at least
  uint64_t bytes = 0;

  uint64_t elements() const { return shape[0] * shape[1] * shape[2] * shape[3]; }
  uint64_t row_bytes() const { return type->bytes(shape[0]); }
};

class GgufFile {
 public:
  // Maps `path`, and where it is the first file of several (NAME-00001-of-00003.gguf) the others: they read as one.
  // Throws Error kNotFound, kIo, kBadFile (one sentence: what is wrong and where), kUnsupported (version, type).
  static std::shared_ptr<const GgufFile> open(const std::string& path);
  // The same checks on bytes in memory, which must outlive the file and be aligned to 8. `name` stands in messages.
  // Throws Error kUnsupported where they are one file of several.
  static std::shared_ptr<const GgufFile> parse(std::span<const std::byte> bytes, std::string name);
  ~GgufFile();

  const std::string& path() const;
  uint32_t version() const;
  uint64_t size() const;                                                        // bytes, of all files
  size_t files() const;                                                         // 1, or how many it is split into
  const std::vector<std::pair<std::string_view, GgufValue>>& metadata() const;  // in file order
  const std::vector<GgufTensor>& tensors() const;                               // in file order

  const GgufValue* find(std::string_view key) const;  // nullptr where absent
  const GgufTensor* find_tensor(std::string_view name) const;

  // Typed access. The one-argument forms throw Error kBadFile naming the key where it is absent; all throw where the
  // kind does not fit or an integer is out of range.
  int64_t integer(std::string_view key) const;
  int64_t integer(std::string_view key, int64_t fallback) const;
  double number(std::string_view key) const;
  double number(std::string_view key, double fallback) const;
  bool boolean(std::string_view key, bool fallback) const;
  std::string_view string(std::string_view key) const;
  std::string_view string(std::string_view key, std::string_view fallback) const;
  const GgufArray* array(std::string_view key) const;  // nullptr where absent

  const GgufTensor& tensor(std::string_view name) const;  // Error kBadFile where absent

  // 64 hex digits that tell models apart without reading all of them: SHA-256 over everything before the tensors' data,
  // in each file, and the first and last 4 KiB of each tensor. Not made for proof against forgers.
  std::string fingerprint() const;

 private:
  GgufFile();
  struct State;
  std::unique_ptr<State> state_;
};

// Takes the next bytes of what is being written.
using GgufSink = std::function<void(std::span<const std::byte>)>;

// Builds a version 3 file: set metadata (a key set again is replaced), add tensors, then write: under a temporary name,
// flushed, renamed. Tensors are aligned to 32 bytes, or to the u32 general.alignment where that is set (a power of two
// of at least 8; else Error kUsage).
class GgufWriter {
 public:
  GgufWriter();
  ~GgufWriter();

  void set(std::string key, uint32_t value);
  void set(std::string key, uint64_t value);
  void set(std::string key, int32_t value);
  void set(std::string key, float value);
  void set(std::string key, bool value);
  void set(std::string key, std::string_view value);
  void set(std::string key, const char* value) { set(std::move(key), std::string_view(value)); }
  void set(std::string key, std::vector<std::string> values);
  void set(std::string key, std::vector<int32_t> values);
  void set(std::string key, std::vector<float> values);
  void set(std::string key, const std::vector<bool>& values);
  void copy(std::string_view key, const GgufValue& value);  // any value of another file

  // `data` must stay until write(). Throws Error kUsage for a duplicate or too long name (63 bytes) or a size that does
  // not fit the shape.
  void add_tensor(std::string name, const QuantType& type, std::vector<uint64_t> shape,
                  std::span<const std::byte> data);
  // The same for data that is made only as the file is written: `produce` hands all of it to the sink, in order, each
  // time it is called. For models that do not fit into memory.
  void add_tensor(std::string name, const QuantType& type, std::vector<uint64_t> shape,
                  std::function<void(const GgufSink&)> produce);

  void write(const std::string& path) const;  // Error kIo; the old file stays

  // Writes a model in several files of at most `bytes` each, unless the metadata or one tensor takes more: for
  // `path` FOLDER/NAME.gguf FOLDER/NAME-00001-of-00003.gguf and so on, whose names are returned. The first one appears
  // last, and an old one of its name goes before any new one appears. Error kUsage where there would be more than
  // 65535 or `path` is such a name itself, kIo.
  std::vector<std::string> write_split(const std::string& path, uint64_t bytes) const;

  std::vector<std::byte> bytes() const;  // the same file in memory (small ones: tests)

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace fieldprint
