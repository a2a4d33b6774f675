#include "make/source.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include "fieldprint/error.h"

namespace fieldprint {

SourceModel source_of(std::shared_ptr<const GgufFile> file) {
  SourceModel model;
  for (const auto& [key, value] : file->metadata()) model.writer->copy(key, value);
  for (const GgufTensor& tensor : file->tensors()) {
    model.tensors.push_back({std::string(tensor.name), tensor.type, tensor.dims, tensor.shape, {tensor.data}, {}, {}});
  }
  model.files.push_back(std::move(file));
  return model;
}

SourceModel open_source(const std::string& path, std::span<const AdapterFile> adapters) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) {
    if (adapters.empty()) return open_hugging_face(path);
    throw Error(ErrorKind::kUsage, "adapters are added to a GGUF file, not to a folder", path,
                "`fieldprint quantize` makes a GGUF file of the folder");
  }
  const auto file = GgufFile::open(path);
  SourceModel model = source_of(file);
  for (const AdapterFile& adapter : adapters) {
    for (const Addition& addition : model.adapters.emplace_back(adapter, *file).additions()) {
      const auto tensor = std::find_if(model.tensors.begin(), model.tensors.end(),
                                       [&](const SourceTensor& one) { return one.name == addition.tensor; });
      if (tensor == model.tensors.end()) throw Error(ErrorKind::kBadFile, "has no tensor " + addition.tensor, path);
      tensor->additions.push_back(addition.low_rank);
    }
  }
  return model;
}

}  // namespace fieldprint
