// A Hugging Face folder as a SourceModel: config.json becomes metadata, tensors are found by the architecture's plan
// (models/plan.h). Each that the configuration asks for must be there and of its shape, and none may be left over.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <map>
#include <set>

#include "base/mapped_file.h"
#include "base/math.h"
#include "fieldprint/error.h"
#include "gguf/parse.h"
#include "make/json_file.h"
#include "make/source.h"
#include "make/tokenizer_json.h"
#include "models/architecture.h"
#include "safetensors/safetensors.h"

namespace fieldprint {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

// The weights of a folder, in one file or in shards, by name.
class Folder {
 public:
  explicit Folder(const fs::path& folder) : where_(folder.string()) {
    for (const std::string& name : files(folder)) {
      const auto file = SafetensorsFile::open((folder / name).string());
      for (const SafeTensor& tensor : file->tensors()) {
        if (!tensors_.emplace(tensor.name, &tensor).second) {
          throw Error(ErrorKind::kBadFile, fmt::format("tensor {} stands in two files", gguf_quoted(tensor.name)),
                      where_);
        }
      }
      files_.push_back(file);
    }
  }

  // Names with this in front are known without it.
  void drop_prefix(std::string_view prefix) {
    std::map<std::string, const SafeTensor*> renamed;
    for (const auto& [name, tensor] : tensors_)
      renamed.emplace(prefix.empty() || !name.starts_with(prefix) ? name : name.substr(prefix.size()), tensor);
    tensors_.swap(renamed);
  }

  const SafeTensor& take(const std::string& name) {
    const auto found = tensors_.find(name);
    if (found == tensors_.end()) throw Error(ErrorKind::kBadFile, fmt::format("tensor {} is missing", name), where_);
    taken_.insert(name);
    const SafeTensor& tensor = *found->second;
    if (tensor.type == nullptr) {
      throw Error(ErrorKind::kUnsupported,
                  fmt::format("tensor {} is of dtype {}, only F32, F16 and BF16 are read", name, tensor.dtype), where_);
    }
    return tensor;
  }
  void ignore(const std::string& name) { taken_.insert(name); }
  void ignore_all(std::string_view beginning) {
    for (const auto& [name, tensor] : tensors_) {
      if (name.starts_with(beginning)) ignore(name);
    }
  }

  const std::string& path() const { return where_; }
  [[noreturn]] void refuse(const std::string& what) const { throw Error(ErrorKind::kBadFile, what, where_); }

  void finish(std::string_view architecture) const {
    for (const auto& [name, tensor] : tensors_) {
      if (taken_.contains(name) || name.ends_with(".rotary_emb.inv_freq")) continue;
      throw Error(ErrorKind::kUnsupported,
                  fmt::format("tensor {} has no place in the architecture {}", gguf_quoted(name), architecture),
                  where_);
    }
  }

  std::vector<std::shared_ptr<const void>> files() const { return {files_.begin(), files_.end()}; }

 private:
  // The shards that the index names, or the one file.
  static std::set<std::string> files(const fs::path& folder) {
    std::error_code error;
    const fs::path index = folder / "model.safetensors.index.json";
    if (!fs::exists(index, error)) return {"model.safetensors"};
    const JsonFile file(index.string());
    const json* map = file.find("weight_map");
    if (map == nullptr || !map->is_object() || map->empty()) file.refuse("has no weight_map");
    std::set<std::string> names;
    for (const auto& [tensor, value] : map->items()) {
      if (!value.is_string()) file.refuse("weight_map should name files");
      const auto name = value.get<std::string>();
      if (name.empty() || name.find('/') != std::string::npos || name.starts_with('.')) {
        file.refuse(fmt::format("weight_map names {}, which is no file beside it", gguf_quoted(name)));
      }
      names.insert(name);
    }
    return names;
  }

  std::string where_;
  std::vector<std::shared_ptr<const SafetensorsFile>> files_;
  std::map<std::string, const SafeTensor*> tensors_;
  std::set<std::string> taken_;
};

// As shapes are written there.
std::string shape_text(std::span<const uint64_t> shape) { return fmt::format("[{}]", fmt::join(shape, ", ")); }

// A tensor with other values than in the folder, as float32.
void change_values(There form, SourceTensor& tensor, std::deque<std::vector<float>>& made) {
  if (form != There::kMinusOne && form != There::kLogarithm) return;
  std::vector<float>& values = made.emplace_back(tensor.elements());
  std::vector<std::byte> aligned(tensor.bytes());
  std::memcpy(aligned.data(), tensor.parts[0], aligned.size());
  tensor.type->decode(aligned.data(), values.data(), static_cast<int64_t>(values.size()));
  for (float& value : values)
    value = form == There::kMinusOne ? value + 1 : static_cast<float>(-exp_f64(static_cast<double>(value)));
  tensor.type = find_quant_type("F32");
  tensor.parts = {reinterpret_cast<const std::byte*>(values.data())};
}

// One tensor of the plan: its parts found, their shape checked.
SourceTensor convert(Folder& folder, const PlannedTensor& planned, const ConfiguredModel& of,
                     std::deque<std::vector<float>>& made) {
  const There form = planned.row->form;
  SourceTensor out;
  out.name = planned.here;
  out.dims = static_cast<int>(planned.shape.size());
  std::copy(planned.shape.rbegin(), planned.shape.rend(), out.shape.begin());
  std::vector<uint64_t> wanted(planned.shape.begin(), planned.shape.end());
  uint64_t count = 1;
  if (form == There::kStacked) {
    count = wanted.front();
    wanted.erase(wanted.begin());
  }
  const bool first = form == There::kFirstHalf, half = first || form == There::kSecondHalf;
  if (half) {
    count = wanted.size() > 2 ? wanted.front() : 1;
    wanted[wanted.size() - 2] *= 2;
  }
  if (form == There::kKernel) wanted.insert(wanted.begin() + 1, 1);
  if (form == There::kRow) wanted.insert(wanted.begin(), 1);
  out.transposed = form == There::kTransposed;
  if (out.transposed) std::swap(wanted[0], wanted[1]);
  if (form == There::kVector || form == There::kLogarithm) wanted = {out.elements()};
  for (uint64_t i = 0; i < count; ++i) {
    const std::string name = name_there(planned.there, of.type->prefix, i);
    const SafeTensor& tensor = folder.take(name);
    if (tensor.shape != wanted) {
      folder.refuse(fmt::format("tensor {} is of shape {}, config.json asks for {}", name, shape_text(tensor.shape),
                                shape_text(wanted)));
    }
    if (i > 0 && tensor.type != out.type)
      folder.refuse(fmt::format("tensor {} is of another dtype than the other experts'", name));
    out.type = tensor.type;
    const uint64_t part_bytes = half ? tensor.type->bytes(out.elements()) / count : 0;
    out.parts.push_back(tensor.data + part_bytes * (2 * i + (first ? 0 : 1)));
  }
  change_values(form, out, made);
  out.row_order = rows_there(planned, of.hp, folder.path());
  out.column_order = columns_there(planned, of.hp);
  return out;
}

// How sentence-transformers' own files say that vectors are pooled; `fallback` where a folder has none of them.
PoolingType pooling_there(const fs::path& folder, PoolingType fallback) {
  std::error_code error;
  const fs::path modules = folder / "modules.json";
  if (!fs::exists(modules, error)) return fallback;
  const MappedFile file(modules.string());  // a list, which JsonFile does not take
  const std::string text =
      fmt::format(R"({{"modules": {}}})",
                  std::string_view(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()));
  const JsonFile list = JsonFile::parse(text, modules.string());
  const json* all = list.find("modules");
  if (all == nullptr || !all->is_array()) list.refuse("should be a list of modules");
  PoolingType pooling = fallback;
  for (const json& one : *all) {
    const auto value = [&](const char* key) {
      return one.is_object() && one.contains(key) && one[key].is_string() ? one[key].get<std::string>() : "";
    };
    const std::string type = value("type"), name = type.substr(type.rfind('.') + 1), path = value("path");
    if (name == "Transformer" || name == "Normalize") continue;
    if (name != "Pooling") list.unsupported(fmt::format("a module of type {} is not supported", gguf_quoted(type)));
    if (path.find("..") != std::string::npos || path.starts_with('/')) list.refuse("names a folder outside its own");
    const JsonFile settings((folder / path / "config.json").string());
    const auto on = [&](const char* key) { return settings.boolean(key, false); };
    if (on("pooling_mode_cls_token")) pooling = PoolingType::kFirst;
    else if (on("pooling_mode_mean_tokens")) pooling = PoolingType::kMean;
    else if (on("pooling_mode_lasttoken")) pooling = PoolingType::kLast;
    else settings.unsupported("it pools otherwise than by the mean, the first or the last token");
  }
  return pooling;
}

}  // namespace

SourceModel open_hugging_face(const std::string& folder) {
  const fs::path path(folder);
  const JsonFile file((path / "config.json").string());
  ConfiguredModel configured = read_config(file);
  auto& [row, hp, type] = configured;
  if (hp.encoder) hp.pooling = pooling_there(path, hp.pooling);
  check_supported(hp, file.path());
  for (const PlannedTensor& planned : tensors_of(row->tensors, hp)) {
    if (!planned.wanted || planned.row->form == There::kNowhere || !planned.row->there.empty()) continue;
    throw Error(ErrorKind::kUnsupported,
                fmt::format("{} has no form in a Hugging Face folder that can be read", planned.here), folder,
                "take a GGUF file of the model");
  }
  SourceModel model;
  fs::path name = fs::absolute(path).lexically_normal();
  if (name.filename().empty()) name = name.parent_path();
  model.writer->set("general.architecture", row->name);
  model.writer->set("general.name", name.filename().string());
  row->write(MetadataWriter(*model.writer, row->name), hp);

  Folder weights(path);
  model.files = weights.files();
  weights.drop_prefix(type->optional_prefix);
  for (const PlannedTensor& planned : tensors_of(row->tensors, hp)) {
    if (planned.wanted && planned.row->form == There::kNowhere) {
      const auto& values = model.made.emplace_back(planned.row->values(hp));
      model.tensors.push_back({planned.here,
                               find_quant_type("F32"),
                               1,
                               {values.size(), 1, 1, 1},
                               {reinterpret_cast<const std::byte*>(values.data())},
                               {},
                               {}});
    } else if (planned.wanted) {
      model.tensors.push_back(convert(weights, planned, configured, model.made));
    } else if (planned.row->when == kUntied) {
      weights.ignore(name_there(planned.there, type->prefix));  // a tied model's files may hold the output all the same
    }
  }
  for (const std::string_view beginning : type->left_out) {
    for (int i = 0; i < hp.layers; ++i) weights.ignore_all(fmt::format(fmt::runtime(beginning), i));
  }
  weights.finish(row->name);
  if (hp.token_types > 0) model.writer->set("tokenizer.ggml.token_type_count", static_cast<uint32_t>(hp.token_types));
  set_tokenizer(*model.writer, folder, row->pre_tokenizer, hp.vocabulary);
  return model;
}

}  // namespace fieldprint
