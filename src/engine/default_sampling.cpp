// What a model's file or the catalogue says of sampling.
#include <cmath>
#include <filesystem>
#include <optional>

#include "base/number.h"
#include "engine/loaded_model.h"
#include "engine/sampling/stage.h"
#include "fieldprint/catalog.h"
#include "fieldprint/error.h"
#include "fieldprint/sampling.h"

namespace fieldprint {
namespace {

// llama.cpp's keys, its pull request 17120. The sequence of samplers is a text.
struct Key {
  std::string_view name;
  void (*set)(SamplingOptions&, double);
};
constexpr Key kKeys[] = {
    {"temp", [](SamplingOptions& o, double v) { o.temperature = static_cast<float>(v); }},
    {"top_k", [](SamplingOptions& o, double v) { o.top_k = static_cast<int>(std::max(v, 0.0)); }},
    {"top_p", [](SamplingOptions& o, double v) { o.top_p = static_cast<float>(v); }},
    {"min_p", [](SamplingOptions& o, double v) { o.min_p = static_cast<float>(v); }},
    {"xtc_probability", [](SamplingOptions& o, double v) { o.xtc_probability = static_cast<float>(v); }},
    {"xtc_threshold", [](SamplingOptions& o, double v) { o.xtc_threshold = static_cast<float>(v); }},
    {"penalty_last_n", [](SamplingOptions& o, double v) { o.penalty_window = static_cast<int>(v); }},
    {"penalty_repeat", [](SamplingOptions& o, double v) { o.repetition_penalty = static_cast<float>(v); }},
    {"mirostat", [](SamplingOptions& o, double v) { o.mirostat = static_cast<int>(v); }},
    {"mirostat_tau", [](SamplingOptions& o, double v) { o.mirostat_tau = static_cast<float>(v); }},
    {"mirostat_eta", [](SamplingOptions& o, double v) { o.mirostat_eta = static_cast<float>(v); }},
};

bool in_range(const SamplingOptions& options) {
  try {
    for (const SamplerStageRow& row : sampler_stages()) row.check(options, {});
    return true;
  } catch (const Error&) {
    return false;
  }
}

void set(SamplingOptions& options, const Key& key, double value) {
  constexpr double kMost = 1e9;  // what an int takes
  SamplingOptions changed = options;
  if (std::abs(value) <= kMost) key.set(changed, value);
  if (in_range(changed)) options = std::move(changed);
}

template <class Use>  // use(part) for every part of "a;b;c"
void split(std::string_view text, Use use) {
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find(';', at), text.size());
    use(text.substr(at, end - at));
    at = end + 1;
  }
}

std::optional<double> number(const GgufValue& value) {
  if (const auto* v = std::get_if<int64_t>(&value.value)) return static_cast<double>(*v);
  if (const auto* v = std::get_if<uint64_t>(&value.value)) return static_cast<double>(*v);
  if (const auto* v = std::get_if<double>(&value.value)) return *v;
  return std::nullopt;
}

bool set_from_file(SamplingOptions& options, const GgufFile& file) {
  const std::string prefix = "general.sampling.";
  bool any = false;
  for (const Key& key : kKeys) {
    const GgufValue* value = file.find(prefix + std::string(key.name));
    const auto v = value != nullptr ? number(*value) : std::nullopt;
    if (!v) continue;
    any = true;
    set(options, key, *v);
  }
  if (const GgufValue* value = file.find(prefix + "sequence")) {
    if (const auto* text = std::get_if<std::string_view>(&value->value)) {
      any = true;
      split(*text, [&](std::string_view name) {  // one that is not known here cannot run
        for (const SamplerStageRow& row : sampler_stages()) {
          const auto& list = options.samplers;
          if (row.movable && row.name == name && std::find(list.begin(), list.end(), name) == list.end())
            options.samplers.emplace_back(name);
        }
      });
    }
  }
  return any;
}

void set_from_catalog(SamplingOptions& options, const std::string& path) {
  const std::string file = std::filesystem::path(path).filename();
  for (const CatalogEntry& entry : catalog()) {
    if (entry.file != file) continue;
    split(entry.sampling, [&](std::string_view part) {
      const size_t equals = part.find('=');
      for (const Key& key : kKeys) {
        if (key.name == part.substr(0, equals))
          set(options, key, strtod_c(std::string(part.substr(equals + 1)).c_str()));
      }
    });
  }
}

}  // namespace

SamplingOptions default_sampling(const Model& model) {
  SamplingOptions options;
  const LoadedModel& own = loaded(model);
  if (!set_from_file(options, own.file())) set_from_catalog(options, own.info().path);
  return options;
}

}  // namespace fieldprint
