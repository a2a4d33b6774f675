#include "make/source.h"

#include <filesystem>

namespace fieldprint {

SourceModel open_source(const std::string& path) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) return open_hugging_face(path);
  const auto file = GgufFile::open(path);
  SourceModel model;
  for (const auto& [key, value] : file->metadata()) model.writer->copy(key, value);
  for (const GgufTensor& tensor : file->tensors()) {
    model.tensors.push_back({std::string(tensor.name), tensor.type, tensor.dims, tensor.shape, {tensor.data}, {}, {}});
  }
  model.files.push_back(file);
  return model;
}

}  // namespace fieldprint
