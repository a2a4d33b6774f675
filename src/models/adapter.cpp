#include "models/adapter.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <map>
#include <utility>

#include "base/json.h"
#include "base/mapped_file.h"
#include "fieldprint/error.h"
#include "gguf/parse.h"
#include "kernels/table.h"
#include "models/architecture.h"
#include "safetensors/safetensors.h"

namespace fieldprint {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* kPeftWeights = "adapter_model.safetensors";
constexpr const char* kPeftConfig = "adapter_config.json";
constexpr std::string_view kPeftPrefix = "base_model.model.";

std::string shape_text(const AdapterMatrix& m) {
  return m.shape[2] > 1 ? fmt::format("{} x {} x {}", m.shape[0], m.shape[1], m.shape[2])
                        : fmt::format("{} x {}", m.shape[0], m.shape[1]);
}

// The two matrices of each name, brought together.
class Pairs {
 public:
  explicit Pairs(std::string where) : where_(std::move(where)) {}

  void add(const std::string& name, bool is_a, const AdapterMatrix& matrix) {
    auto& [a, b] = found_[name];
    AdapterMatrix& place = is_a ? a : b;
    if (place.type != nullptr) refuse(fmt::format("has two matrices {} for {}", is_a ? "A" : "B", gguf_quoted(name)));
    place = matrix;
  }

  std::vector<AdapterContents::Pair> take() {
    std::vector<AdapterContents::Pair> all;
    for (const auto& [name, pair] : found_) {
      const auto& [a, b] = pair;
      if (a.type == nullptr || b.type == nullptr)
        refuse(fmt::format("has no matrix {} for {}", a.type == nullptr ? "A" : "B", gguf_quoted(name)));
      if (a.shape[1] < 1 || a.shape[1] > kMaxRow || a.shape[1] != b.shape[0] || a.shape[2] != b.shape[2]) {
        refuse(fmt::format("the matrices for {} are {} and {}, which are of no common rank", gguf_quoted(name),
                           shape_text(a), shape_text(b)));
      }
      all.push_back({name, a, b});
    }
    if (all.empty()) refuse("changes nothing: it has no matrices");
    return all;
  }

 private:
  [[noreturn]] void refuse(const std::string& what) const { throw Error(ErrorKind::kBadFile, what, where_); }

  std::string where_;
  std::map<std::string, std::pair<AdapterMatrix, AdapterMatrix>> found_;
};

// ---- GGUF

AdapterContents read_gguf_adapter(const std::string& path) {
  const auto file = GgufFile::open(path);
  const auto unsupported = [&](const std::string& what) -> Error { return {ErrorKind::kUnsupported, what, path}; };
  if (file->string("general.type", "") != "adapter") {
    throw Error(ErrorKind::kUsage, "is no adapter: its general.type is not 'adapter'", path,
                "--lora takes an adapter; -m takes a model");
  }
  if (const auto type = file->string("adapter.type", ""); type != "lora")
    throw unsupported(fmt::format("is an adapter of type {}, only lora is supported", gguf_quoted(type)));
  if (file->find("adapter.alora.invocation_tokens") != nullptr)
    throw unsupported("is an activated LoRA, which works from some token on: that is not supported");
  AdapterContents contents;
  contents.file = file;
  contents.info.format = "GGUF";
  contents.info.architecture = file->string("general.architecture");
  contents.info.base = file->string("general.base_model.0.name", "");
  contents.info.file_bytes = file->size();
  contents.info.alpha = static_cast<float>(file->number("adapter.lora.alpha", 0));
  Pairs pairs(path);
  for (const GgufTensor& tensor : file->tensors()) {
    const bool is_a = tensor.name.ends_with(".lora_a");
    if (!is_a && !tensor.name.ends_with(".lora_b"))
      throw unsupported(fmt::format("has tensor {}, which is neither matrix of a pair", gguf_quoted(tensor.name)));
    if (tensor.dims < 2 || tensor.shape[3] != 1)
      throw Error(ErrorKind::kBadFile, fmt::format("tensor {} is no matrix", gguf_quoted(tensor.name)), path);
    pairs.add(std::string(tensor.name.substr(0, tensor.name.size() - 7)), is_a,
              {tensor.type, {tensor.shape[0], tensor.shape[1], tensor.shape[2]}, tensor.data});
  }
  contents.pairs = pairs.take();
  return contents;
}

// ---- PEFT

// What of adapter_config.json would make the adapter another one than its matrices say.
void check_peft_config(const json& config, const std::string& where) {
  const auto refuse = [&](const std::string& what) { throw Error(ErrorKind::kUnsupported, what, where); };
  const auto text = [&](const char* key) {
    return config.contains(key) && config[key].is_string() ? config[key].get<std::string>() : std::string();
  };
  if (const std::string type = text("peft_type"); type != "LORA")
    refuse(fmt::format("is an adapter of type {}, only LORA is supported", gguf_quoted(type)));
  // Each null, false or empty in an adapter that is two matrices for each module and nothing else.
  constexpr const char* kOther[] = {"use_dora",
                                    "use_bdlora",
                                    "use_qalora",
                                    "arrow_config",
                                    "kasa_config",
                                    "monteclora_config",
                                    "modules_to_save",
                                    "alpha_pattern",
                                    "layer_replication",
                                    "lora_bias",
                                    "trainable_token_indices",
                                    "target_parameters",
                                    "alora_invocation_tokens"};
  for (const char* key : kOther) {
    const auto found = config.find(key);
    if (found == config.end() || found->is_null() || *found == false) continue;
    if ((found->is_array() || found->is_object()) && found->empty()) continue;
    refuse(fmt::format("has {}, which is not supported", key));
  }
  if (const std::string bias = text("bias"); !bias.empty() && bias != "none")
    refuse(fmt::format("trained biases too (bias {}), which is not supported", gguf_quoted(bias)));
  // These change the base model's matrices as well.
  const std::string start = text("init_lora_weights");
  for (const char* name : {"pissa", "olora", "corda", "loftq", "lora_ga"}) {
    if (start.starts_with(name)) {
      throw Error(ErrorKind::kUnsupported,
                  fmt::format("began as {}, which changes the base model's matrices too", gguf_quoted(start)), where,
                  "PEFT can convert it: path_initial_model_for_weight_conversion");
    }
  }
}

float config_number(const json& config, const char* key, const std::string& where) {
  const auto found = config.find(key);
  if (found == config.end() || !found->is_number() || !std::isfinite(found->get<float>()) || found->get<float>() <= 0)
    throw Error(ErrorKind::kBadFile, fmt::format("{} should be a number above 0", key), where);
  return found->get<float>();
}

AdapterContents read_peft_adapter(const std::string& path) {
  std::error_code error;
  const bool is_folder = fs::is_directory(path, error);
  const fs::path weights = is_folder ? fs::path(path) / kPeftWeights : fs::path(path);
  const std::string config_path = (weights.parent_path() / kPeftConfig).string();
  const MappedFile config_file(config_path);
  const auto bytes = config_file.bytes();
  const json config = parse_json({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, config_path,
                                 {.kind = ErrorKind::kBadFile});
  if (!config.is_object()) throw Error(ErrorKind::kBadFile, "is not a JSON object", config_path);
  check_peft_config(config, config_path);
  const auto file = SafetensorsFile::open(weights.string());
  AdapterContents contents;
  contents.peft = true;
  contents.file = file;
  contents.info.format = "PEFT";
  if (const auto base = config.find("base_model_name_or_path"); base != config.end() && base->is_string())
    contents.info.base = base->get<std::string>();
  contents.info.file_bytes = fs::file_size(weights, error);
  contents.info.alpha = config_number(config, "lora_alpha", config_path);
  contents.info.rank_stabilised = config.contains("use_rslora") && config["use_rslora"] == true;
  Pairs pairs(weights.string());
  for (const SafeTensor& tensor : file->tensors()) {
    std::string_view name = tensor.name;
    const bool is_a = name.ends_with(".lora_A.weight");
    if (!name.starts_with(kPeftPrefix) || (!is_a && !name.ends_with(".lora_B.weight"))) {
      throw Error(ErrorKind::kUnsupported,
                  fmt::format("has tensor {}, which is neither matrix of a pair", gguf_quoted(name)), weights.string());
    }
    if (tensor.type == nullptr) {
      throw Error(
          ErrorKind::kUnsupported,
          fmt::format("tensor {} is of dtype {}, only F32, F16 and BF16 are read", gguf_quoted(name), tensor.dtype),
          weights.string());
    }
    if (tensor.shape.size() != 2)
      throw Error(ErrorKind::kBadFile, fmt::format("tensor {} is no matrix", gguf_quoted(name)), weights.string());
    name.remove_prefix(kPeftPrefix.size());
    name.remove_suffix(std::string_view(".lora_A.weight").size());
    pairs.add(std::string(name), is_a, {tensor.type, {tensor.shape[1], tensor.shape[0], 1}, tensor.data});
  }
  contents.pairs = pairs.take();
  return contents;
}

// ---- For a model

// Where the pair of a name goes.
struct Target {
  const PlannedTensor* tensor;
  int64_t part = -1;  // of a stack, which matrix; -1: all of it
  int half = -1;      // of the pair's outputs, which half is the tensor's; -1: all
};

using Targets = std::multimap<std::string, Target>;

Targets targets_here(const std::vector<PlannedTensor>& plan) {
  Targets all;
  for (const PlannedTensor& tensor : plan) {
    if (tensor.wanted) all.emplace(tensor.here, Target{&tensor});
  }
  return all;
}

// By the modules' names, of every type of model on Hugging Face that becomes this architecture.
Targets targets_there(const std::vector<PlannedTensor>& plan, const ArchitectureRow& row) {
  Targets all;
  const auto add = [&](const Target& target, const std::string& name) {
    constexpr std::string_view kEnd = ".weight";
    if (!name.ends_with(kEnd)) return;
    const std::string module = name.substr(0, name.size() - kEnd.size());
    const auto [first, last] = all.equal_range(module);
    if (std::none_of(first, last, [&](const auto& other) { return other.second.tensor == target.tensor; }))
      all.emplace(module, target);
  };
  for (const HuggingFaceType& type : row.hugging_face) {
    for (const PlannedTensor& tensor : plan) {
      if (!tensor.wanted || tensor.there.empty()) continue;
      Target target{&tensor};
      if (tensor.row->form == There::kFirstHalf) target.half = 0;
      if (tensor.row->form == There::kSecondHalf) target.half = 1;
      const bool stacked = tensor.row->form == There::kStacked;
      for (int64_t i = 0; i < (stacked ? tensor.shape[0] : 1); ++i) {
        if (stacked) target.part = i;
        const std::string name = name_there(tensor.there, type.prefix, static_cast<uint64_t>(i));
        add(target, name);
        if (!type.optional_prefix.empty()) add(target, std::string(type.optional_prefix) + name);
      }
    }
  }
  return all;
}

// The values of a matrix of the file, all finite.
std::vector<float> decoded(const AdapterMatrix& matrix, const std::string& name, const std::string& where) {
  const uint64_t count = matrix.elements();
  std::vector<float> values(count);
  const std::vector<std::byte> aligned(matrix.data, matrix.data + matrix.bytes());
  matrix.type->decode(aligned.data(), values.data(), static_cast<int64_t>(count));
  if (!std::all_of(values.begin(), values.end(), [](float x) { return std::isfinite(x); }))
    throw Error(ErrorKind::kBadFile, fmt::format("the matrices for {} hold values that are no numbers", name), where);
  return values;
}

// One tensor's addition, put together from the pairs that change it.
class Assembly {
 public:
  Assembly(const PlannedTensor& tensor, uint64_t rank, const Hyperparameters& hp, bool peft, const std::string& where)
      : tensor_(tensor), rank_(static_cast<size_t>(rank)), where_(where) {
    const auto& shape = tensor.shape;
    columns_ = static_cast<size_t>(shape.back());
    rows_ = static_cast<size_t>(shape[shape.size() - 2]);
    count_ = shape.size() > 2 ? static_cast<size_t>(shape[0]) : 1;
    if (peft) {
      row_order_ = rows_there(tensor, hp, where);
      column_order_ = columns_there(tensor, hp);
    }
    a.resize(count_ * rank_ * columns_);
    b.resize(count_ * rows_ * rank_);
  }

  void put(const AdapterContents::Pair& pair, const Target& target) {
    const size_t count = target.part < 0 ? count_ : 1, rows = target.half < 0 ? rows_ : 2 * rows_;
    if (pair.rank() != rank_) {
      throw Error(ErrorKind::kUnsupported,
                  fmt::format("the experts of {} have different ranks, {} and {}", tensor_.here, rank_, pair.rank()),
                  where_);
    }
    if (pair.a.shape[0] != columns_ || pair.b.shape[1] != rows || pair.a.shape[2] != count) {
      throw Error(ErrorKind::kBadFile,
                  fmt::format("the matrices for {} are {} and {}, but the model has {} inputs and {} outputs{} there",
                              pair.name, shape_text(pair.a), shape_text(pair.b), columns_, rows,
                              count > 1 ? fmt::format(" of each of {} experts", count) : ""),
                  where_, "is it an adapter of this model?");
    }
    const size_t first = target.part < 0 ? 0 : static_cast<size_t>(target.part);
    const std::vector<float> from_a = decoded(pair.a, pair.name, where_), from_b = decoded(pair.b, pair.name, where_);
    for (size_t row = 0; row < count * rank_; ++row) {
      for (size_t column = 0; column < columns_; ++column)
        a[(first * rank_ + row) * columns_ + column] =
            from_a[row * columns_ + (column_order_.empty() ? column : column_order_[column])];
    }
    const size_t skipped = target.half == 1 ? rows_ : 0;
    for (size_t row = 0; row < count * rows_; ++row) {
      const size_t matrix = row / rows_, within = row % rows_;
      const size_t from = matrix * rows_ + skipped + (row_order_.empty() ? within : row_order_[within]);
      std::copy_n(from_b.data() + from * rank_, rank_, b.data() + (first * rows_ + row) * rank_);
    }
  }

  // As weights of the model; the values are wherever they are kept.
  Addition addition(const std::vector<float>& a_kept, const std::vector<float>& b_kept, float scale) const {
    const QuantType* f32 = find_quant_type("F32");
    const auto weight = [&](const std::vector<float>& values, size_t rows, size_t columns) {
      return Weight{.name = tensor_.row->here,  // which lives as long as the program
                    .type = f32,
                    .data = reinterpret_cast<const std::byte*>(values.data()),
                    .rows = static_cast<int64_t>(rows),
                    .cols = static_cast<int64_t>(columns)};
    };
    return {tensor_.here,
            {weight(a_kept, count_ * rank_, columns_), weight(b_kept, count_ * rows_, rank_),
             static_cast<int64_t>(rank_), scale}};
  }

  std::vector<float> a, b;

 private:
  const PlannedTensor& tensor_;
  const size_t rank_;
  const std::string& where_;
  size_t columns_ = 0, rows_ = 0, count_ = 1;
  std::vector<uint32_t> row_order_, column_order_;
};

}  // namespace

float AdapterContents::scale(uint64_t rank) const {
  if (info.alpha == 0) return 1;
  const auto r = static_cast<float>(rank);
  return info.alpha / (info.rank_stabilised ? std::sqrt(r) : r);
}

bool is_adapter(const std::string& path) {
  std::error_code error;
  if (fs::is_directory(path, error)) return fs::exists(fs::path(path) / kPeftConfig, error);
  if (!fs::is_regular_file(path, error)) return false;
  if (path.ends_with(".safetensors")) return true;
  try {
    return GgufFile::open(path)->string("general.type", "") == "adapter";
  } catch (const Error&) {
    return false;
  }
}

AdapterContents read_adapter(const std::string& path) {
  std::error_code error;
  const bool peft = fs::is_directory(path, error) || path.ends_with(".safetensors");
  AdapterContents contents = peft ? read_peft_adapter(path) : read_gguf_adapter(path);
  contents.info.path = path;
  if (!std::isfinite(contents.info.alpha)) throw Error(ErrorKind::kBadFile, "states an alpha that is no number", path);
  return contents;
}

AdapterInfo inspect_adapter(const std::string& path) {
  AdapterContents contents = read_adapter(path);
  AdapterInfo info = std::move(contents.info);
  for (const AdapterContents::Pair& pair : contents.pairs) {
    info.tensors.push_back({.name = pair.name,
                            .type = std::string(pair.a.type->name),
                            .inputs = pair.a.shape[0],
                            .outputs = pair.b.shape[1],
                            .rank = pair.rank(),
                            .matrices = pair.a.shape[2],
                            .bytes = pair.a.bytes() + pair.b.bytes()});
    info.parameters += pair.a.shape[2] * pair.rank() * (pair.a.shape[0] + pair.b.shape[1]);
  }
  return info;
}

Adapter::Adapter(const AdapterFile& file, const GgufFile& model) {
  const AdapterContents contents = read_adapter(file.path);
  if (!std::isfinite(file.scale)) throw Error(ErrorKind::kUsage, "an adapter's scale must be a number", file.path);
  const ArchitectureRow& row = architecture_of(model);
  if (!contents.peft && contents.info.architecture != row.name) {
    throw Error(ErrorKind::kUsage,
                fmt::format("is an adapter for models of architecture {}, not {}",
                            gguf_quoted(contents.info.architecture), row.name),
                file.path);
  }
  const Hyperparameters hp = read_hyperparameters(model);
  const std::vector<PlannedTensor> plan = tensors_of(row.tensors, hp);
  const Targets targets = contents.peft ? targets_there(plan, row) : targets_here(plan);
  std::map<const PlannedTensor*, Assembly> assemblies;  // in the plan's order: it is one array
  std::map<const PlannedTensor*, float> scales;
  for (const AdapterContents::Pair& pair : contents.pairs) {
    const auto [first, last] = targets.equal_range(pair.name);
    if (first == last) {
      throw Error(ErrorKind::kUsage, fmt::format("changes {}, which the model does not have", gguf_quoted(pair.name)),
                  file.path, "is it an adapter of this model?");
    }
    for (auto it = first; it != last; ++it) {
      const PlannedTensor& tensor = *it->second.tensor;
      if (!can_have_additions(tensor)) {
        throw Error(
            ErrorKind::kUnsupported,
            fmt::format("changes {}, which is no matrix that inputs are multiplied with", gguf_quoted(pair.name)),
            file.path);
      }
      Assembly& assembly =
          assemblies.try_emplace(&tensor, tensor, pair.rank(), hp, contents.peft, file.path).first->second;
      assembly.put(pair, it->second);
      scales[&tensor] = contents.scale(pair.rank()) * file.scale;
    }
  }
  for (auto& [tensor, assembly] : assemblies) {
    const auto& a = values_.emplace_back(std::move(assembly.a));
    const auto& b = values_.emplace_back(std::move(assembly.b));
    additions_.push_back(assembly.addition(a, b, scales[tensor]));
  }
}

}  // namespace fieldprint
