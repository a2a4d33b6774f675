// A model's config.json as architectures read it, whatever reads the JSON. A key may lead into objects:
// "rope_parameters/rope_theta". A null and an empty object count as absent.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "models/hparams.h"

namespace fieldprint {

class Config {
 public:
  virtual ~Config() = default;

  virtual bool has(std::string_view key) const = 0;
  // `least` .. `most`. Throws Error kBadFile that names the key; where it is absent too, unless there is a fallback.
  virtual int64_t integer(std::string_view key, int64_t least, int64_t most,
                          std::optional<int64_t> fallback = {}) const = 0;
  virtual double number(std::string_view key, std::optional<double> fallback = {}) const = 0;
  virtual bool boolean(std::string_view key, bool fallback) const = 0;
  virtual std::string string(std::string_view key, std::string_view fallback) const = 0;
  virtual std::vector<std::string> strings(std::string_view key) const = 0;
  virtual std::vector<int64_t> integers(std::string_view key) const = 0;
  virtual std::vector<double> numbers(std::string_view key) const = 0;

  // Which of `names` the key has; `fallback` where it is absent. Throws Error kBadFile.
  int choice(std::string_view key, std::span<const std::string_view> names, int fallback) const;

  virtual const std::string& path() const = 0;  // for messages

  [[noreturn]] void refuse(const std::string& what) const;       // kBadFile
  [[noreturn]] void unsupported(const std::string& what) const;  // kUnsupported
};

// One object of another configuration: its keys. `of` outlives it.
class InnerConfig final : public Config {
 public:
  InnerConfig(const Config& of, std::string_view object) : of_(of), object_(std::string(object) + "/") {}

  bool has(std::string_view key) const override { return of_.has(within(key)); }
  int64_t integer(std::string_view key, int64_t least, int64_t most, std::optional<int64_t> fallback) const override {
    return of_.integer(within(key), least, most, fallback);
  }
  double number(std::string_view key, std::optional<double> fallback) const override {
    return of_.number(within(key), fallback);
  }
  bool boolean(std::string_view key, bool fallback) const override { return of_.boolean(within(key), fallback); }
  std::string string(std::string_view key, std::string_view fallback) const override {
    return of_.string(within(key), fallback);
  }
  std::vector<std::string> strings(std::string_view key) const override { return of_.strings(within(key)); }
  std::vector<int64_t> integers(std::string_view key) const override { return of_.integers(within(key)); }
  std::vector<double> numbers(std::string_view key) const override { return of_.numbers(within(key)); }
  const std::string& path() const override { return of_.path(); }

 private:
  std::string within(std::string_view key) const { return object_ + std::string(key); }

  const Config& of_;
  const std::string object_;
};

// What `transformers` takes for a type of model where its config.json is silent (as of 5.24).
struct ConfigDefaults {
  std::string_view eps_key;
  double eps;
  double rope_base;
  int context;
  int kv_heads;  // 0: as many as heads
  bool tied;
  int head_dim = 0;          // 0: width / heads
  double rotary_part = 1;    // of a head that RoPE turns
  int original_context = 0;  // that scaling of RoPE stretches; 0: the context
  // Absent: must be said.
  std::optional<int64_t> ffn = {}, layers = {}, width = {}, heads = {}, vocabulary = {};
  std::string_view activation_key = "hidden_act", activation = "silu";
  std::string_view rope_object = {};  // where RoPE's numbers are, with a slash behind; "": where they usually are
};

// What all types of model say in the same way: sizes, RoPE, ties. Every layer attends and is dense until the
// architecture says otherwise. Throws Error kBadFile, kUnsupported.
Hyperparameters read_common(const Config& config, const ConfigDefaults& defaults);

// For models of which a GGUF file cannot say that they have a window: throws Error kUnsupported where the config `has`
// one (sliding_window) that is shorter than the context.
void refuse_window(const Config& config, const Hyperparameters& hp, bool has);

// Every layer has experts, chosen by softmax.
void set_experts(Hyperparameters& hp, int experts, int used, int ffn);

}  // namespace fieldprint
