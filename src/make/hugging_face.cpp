// A Hugging Face folder as a SourceModel: config.json becomes metadata, tensors are found by the architecture's plan
// (models/plan.h). Each that the configuration asks for must be there and of its shape, and none may be left over.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

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

std::string with_number(std::string_view pattern, std::string_view mark, uint64_t number) {
  std::string out(pattern);
  if (const size_t at = out.find(mark); at != std::string::npos) out.replace(at, mark.size(), std::to_string(number));
  return out;
}

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

// One tensor of the plan: its parts found, their shape checked.
SourceTensor convert(Folder& folder, const PlannedTensor& planned, const Hyperparameters& hp) {
  SourceTensor out;
  out.name = planned.here;
  out.dims = static_cast<int>(planned.shape.size());
  std::copy(planned.shape.rbegin(), planned.shape.rend(), out.shape.begin());
  std::vector<uint64_t> wanted(planned.shape.begin(), planned.shape.end());
  uint64_t count = 1;
  if (planned.row->form == There::kStacked) {
    count = wanted.front();
    wanted.erase(wanted.begin());
  }
  const bool first = planned.row->form == There::kFirstHalf, half = first || planned.row->form == There::kSecondHalf;
  if (half) {
    count = wanted.size() > 2 ? wanted.front() : 1;
    wanted[wanted.size() - 2] *= 2;
  }
  if (planned.row->form == There::kKernel) wanted.insert(wanted.begin() + 1, 1);
  if (planned.row->form == There::kHalves) {
    if (hp.rope.dims != hp.head_dim) {
      throw Error(
          ErrorKind::kUnsupported,
          fmt::format("a RoPE of {} of {} dimensions is not supported in this architecture", hp.rope.dims, hp.head_dim),
          folder.path());
    }
    out.rotary_heads = wanted[0] / static_cast<uint64_t>(hp.head_dim);
  }
  for (uint64_t i = 0; i < count; ++i) {
    const std::string name = with_number(planned.there, "<>", i);
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
  return out;
}

}  // namespace

SourceModel open_hugging_face(const std::string& folder) {
  const fs::path path(folder);
  const JsonFile file((path / "config.json").string());
  const auto [row, hp] = read_config(file);
  check_supported(hp, file.path());
  SourceModel model;
  fs::path name = fs::absolute(path).lexically_normal();
  if (name.filename().empty()) name = name.parent_path();
  model.writer->set("general.architecture", row->name);
  model.writer->set("general.name", name.filename().string());
  row->write(MetadataWriter(*model.writer, row->name), hp);

  Folder weights(path);
  model.files = weights.files();
  for (const PlannedTensor& planned : tensors_of(row->tensors, hp)) {
    if (planned.wanted && planned.row->form == There::kNowhere) {
      const auto& values = model.made.emplace_back(planned.row->values(hp));
      model.tensors.push_back({planned.here,
                               find_quant_type("F32"),
                               1,
                               {values.size(), 1, 1, 1},
                               {reinterpret_cast<const std::byte*>(values.data())},
                               0});
    } else if (planned.wanted) {
      model.tensors.push_back(convert(weights, planned, hp));
    } else if (planned.row->when == kUntied) {
      weights.ignore(planned.there);  // a tied model's files may hold the output all the same
    }
  }
  weights.finish(row->name);
  set_tokenizer(*model.writer, folder, row->pre_tokenizer, hp.vocabulary);
  return model;
}

}  // namespace fieldprint
