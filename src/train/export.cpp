#include "train/export.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <cmath>
#include <deque>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "fieldprint/atomic_file.h"
#include "fieldprint/error.h"
#include "make/quantize.h"
#include "models/architecture.h"
#include "safetensors/safetensors_writer.h"

namespace fieldprint {
namespace {

namespace fs = std::filesystem;

// One for all, as files say it.
std::pair<int64_t, float> rank_and_alpha(std::span<const Addition> additions) {
  assert(!additions.empty());
  const LowRank& first = additions[0].low_rank;
  assert(std::all_of(additions.begin(), additions.end(), [&](const Addition& one) {
    return one.low_rank.rank == first.rank && one.low_rank.scale == first.scale;
  }));
  return {first.rank, first.scale * static_cast<float>(first.rank)};
}

std::span<const std::byte> bytes_of(const Weight& weight) { return {weight.data, static_cast<size_t>(weight.bytes())}; }

// A module's pair as PEFT has it.
struct Module {
  int64_t rank = 0, inputs = 0;
  std::vector<float> a, b;  // [rank, inputs], [outputs, rank]
};

// The expert's part of an addition, with rows and columns in the order of Hugging Face.
Module module_of(const Addition& addition, int64_t expert, int64_t experts, const std::vector<uint32_t>& row_order,
                 const std::vector<uint32_t>& column_order) {
  const LowRank& by = addition.low_rank;
  const int64_t outputs = by.b.rows / experts;
  Module module{by.rank, by.a.cols, {}, {}};
  module.a.resize(static_cast<size_t>(by.rank * by.a.cols));
  module.b.resize(static_cast<size_t>(outputs * by.rank));
  const float* a = by.a.floats() + expert * by.rank * by.a.cols;
  const float* b = by.b.floats() + expert * outputs * by.rank;
  for (int64_t row = 0; row < by.rank; ++row) {
    for (int64_t c = 0; c < by.a.cols; ++c) {
      const int64_t there = column_order.empty() ? c : column_order[static_cast<size_t>(c)];
      module.a[static_cast<size_t>(row * by.a.cols + there)] = a[row * by.a.cols + c];
    }
  }
  for (int64_t row = 0; row < outputs; ++row) {
    const int64_t there = row_order.empty() ? row : row_order[static_cast<size_t>(row)];
    std::copy_n(b + row * by.rank, by.rank, module.b.data() + there * by.rank);
  }
  return module;
}

// Two matrices that are halves of one there: a pair of twice the rank, A of both and B with zeros beside each. The
// scale of a file falls with the rank, so B is twice as large.
Module joined(const Module& first, const Module& second) {
  assert(first.rank == second.rank && first.inputs == second.inputs);
  Module both{2 * first.rank, first.inputs, first.a, {}};
  both.a.insert(both.a.end(), second.a.begin(), second.a.end());
  for (const auto& [half, skipped] : {std::pair(&first, int64_t{0}), std::pair(&second, first.rank)}) {
    for (size_t at = 0; at < half->b.size(); at += static_cast<size_t>(half->rank)) {
      std::vector<float> row(static_cast<size_t>(both.rank));
      for (int64_t k = 0; k < half->rank; ++k)
        row[static_cast<size_t>(skipped + k)] = 2 * half->b[at + static_cast<size_t>(k)];
      both.b.insert(both.b.end(), row.begin(), row.end());
    }
  }
  return both;
}

// Whether matrices stand transposed there, which PEFT wants to know; its own do not.
bool is_transposed(const GgufFile& model) {
  const auto& rows = architecture_of(model).tensors.layer;
  return std::any_of(rows.begin(), rows.end(), [](const TensorRow& row) { return row.form == There::kTransposed; });
}

// By their names there. A half that nothing is added to counts as one of zeros.
std::map<std::string, Module> modules_of(const GgufFile& model, std::span<const Addition> additions) {
  const ArchitectureRow& row = architecture_of(model);
  const Hyperparameters hp = read_hyperparameters(model);
  const std::vector<PlannedTensor> plan = tensors_of(row.tensors, hp);
  std::map<std::string, Module> modules;
  std::map<std::string, std::array<Module, 2>> halves;
  for (const Addition& addition : additions) {
    const auto tensor =
        std::find_if(plan.begin(), plan.end(), [&](const auto& t) { return t.here == addition.tensor; });
    assert(tensor != plan.end());
    const There form = tensor->row->form;
    const bool stack = tensor->shape.size() > 2, half = form == There::kFirstHalf || form == There::kSecondHalf;
    constexpr std::string_view kEnd = ".weight";
    if (row.hugging_face.empty() || !tensor->there.ends_with(kEnd) || (stack && form != There::kStacked)) {
      throw Error(ErrorKind::kUnsupported, fmt::format("{} is no module of its own on Hugging Face", tensor->here),
                  model.path(), "write the adapter as GGUF");
    }
    const auto rows = rows_there(*tensor, hp, model.path()), columns = columns_there(*tensor, hp);
    const int64_t count = stack ? tensor->shape[0] : 1;
    for (int64_t i = 0; i < count; ++i) {
      const HuggingFaceType& type = row.hugging_face[0];
      std::string name = name_there(tensor->there, type.prefix, static_cast<uint64_t>(i));
      if (!hp.encoder && tensor->here != "output.weight") name.insert(0, type.optional_prefix);  // its head has none
      name.resize(name.size() - kEnd.size());
      Module module = module_of(addition, i, count, rows, columns);
      if (half) halves[name][form == There::kSecondHalf ? 1 : 0] = std::move(module);
      else modules[name] = std::move(module);
    }
  }
  for (auto& [name, pair] : halves) {
    for (size_t i = 0; i < 2; ++i) {
      if (pair[i].rank > 0) continue;
      const Module& other = pair[1 - i];
      pair[i] = {other.rank, other.inputs, std::vector<float>(other.a.size()), std::vector<float>(other.b.size())};
    }
    modules[name] = joined(pair[0], pair[1]);
  }
  return modules;
}

}  // namespace

void write_gguf_adapter(const std::string& path, const GgufFile& model, std::span<const Addition> additions) {
  GgufWriter writer;
  writer.set("general.type", "adapter");
  writer.set("general.architecture", model.string("general.architecture"));
  if (const auto name = model.string("general.name", ""); !name.empty()) {
    writer.set("general.base_model.count", uint32_t{1});
    writer.set("general.base_model.0.name", name);
  }
  writer.set("adapter.type", "lora");
  writer.set("adapter.lora.alpha", rank_and_alpha(additions).second);
  for (const Addition& addition : additions) {
    const LowRank& by = addition.low_rank;
    const auto rank = static_cast<uint64_t>(by.rank), experts = static_cast<uint64_t>(by.a.rows) / rank;
    const auto add = [&](const char* end, const Weight& weight, std::vector<uint64_t> shape) {
      if (model.tensor(addition.tensor).dims > 2) shape.push_back(experts);
      writer.add_tensor(addition.tensor + end, *weight.type, std::move(shape), bytes_of(weight));
    };
    add(".lora_a", by.a, {static_cast<uint64_t>(by.a.cols), rank});
    add(".lora_b", by.b, {rank, static_cast<uint64_t>(by.b.rows) / experts});
  }
  writer.write(path);
}

void write_peft_adapter(const std::string& folder, const GgufFile& model, std::span<const Addition> additions) {
  const auto [rank, alpha] = rank_and_alpha(additions);
  const std::map<std::string, Module> modules = modules_of(model, additions);
  const QuantType* f32 = find_quant_type("F32");
  std::vector<SafeTensorToWrite> tensors;
  nlohmann::ordered_json names = nlohmann::ordered_json::array(), ranks = nlohmann::ordered_json::object();
  for (const auto& [name, module] : modules) {
    const auto r = static_cast<uint64_t>(module.rank), inputs = static_cast<uint64_t>(module.inputs);
    const std::string before = "base_model.model." + name;
    tensors.push_back({before + ".lora_A.weight", f32, {r, inputs}, std::as_bytes(std::span(module.a))});
    tensors.push_back({before + ".lora_B.weight", f32, {module.b.size() / r, r}, std::as_bytes(std::span(module.b))});
    names.push_back(name);
    if (module.rank != rank) ranks[name] = module.rank;
  }
  const nlohmann::ordered_json config = {{"peft_type", "LORA"},
                                         {"task_type", "CAUSAL_LM"},
                                         {"base_model_name_or_path", model.string("general.name", "")},
                                         {"r", rank},
                                         {"lora_alpha", alpha},
                                         {"rank_pattern", ranks},
                                         {"alpha_pattern", nlohmann::ordered_json::object()},
                                         {"target_modules", names},
                                         {"use_rslora", false},
                                         {"use_dora", false},
                                         {"bias", "none"},
                                         {"fan_in_fan_out", is_transposed(model)},
                                         {"lora_dropout", 0.0},
                                         {"modules_to_save", nullptr},
                                         {"inference_mode", true}};
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) throw Error(ErrorKind::kIo, "cannot make this folder: " + error.message(), folder);
  write_safetensors((fs::path(folder) / "adapter_model.safetensors").string(), tensors, {{"format", "pt"}});
  AtomicFile file((fs::path(folder) / "adapter_config.json").string());
  file.write(config.dump(2) + "\n");
  file.commit();
}

QuantizePlan write_trained_model(const std::string& path, std::shared_ptr<const GgufFile> model,
                                 std::span<const TrainedTensor> trained, const std::string& mix,
                                 const Progress& progress) {
  SourceModel source = source_of(std::move(model));
  for (const TrainedTensor& tensor : trained) {
    const auto found = std::find_if(source.tensors.begin(), source.tensors.end(),
                                    [&](const SourceTensor& one) { return one.name == tensor.name; });
    assert(found != source.tensors.end());
    const float* values = tensor.values;
    if (tensor.is_kernel) {  // back to {taps, width}, as files have it
      const auto taps = static_cast<size_t>(tensor.shape[0]), width = static_cast<size_t>(tensor.count) / taps;
      std::vector<float>& turned = source.made.emplace_back(taps * width);
      for (size_t c = 0; c < width; ++c) {
        for (size_t t = 0; t < taps; ++t) turned[c * taps + t] = values[t * width + c];
      }
      values = turned.data();
    }
    found->kept = found->type;
    found->type = find_quant_type("F32");
    found->parts = {reinterpret_cast<const std::byte*>(values)};
  }
  QuantizeOptions options;
  options.mix = mix;
  options.allow_unweighted = true;  // the types that the model has, or that somebody asked for
  return write_model(std::move(source), path, options, progress);
}

}  // namespace fieldprint
