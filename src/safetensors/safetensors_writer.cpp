#include "safetensors/safetensors_writer.h"

#include <cassert>
#include <nlohmann/json.hpp>

#include "fieldprint/atomic_file.h"

namespace fieldprint {

void write_safetensors(const std::string& path, std::span<const SafeTensorToWrite> tensors,
                       const std::map<std::string, std::string>& metadata) {
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  uint64_t at = 0;
  for (const SafeTensorToWrite& tensor : tensors) {
    assert(tensor.type->block_elements == 1 && !header.contains(tensor.name));
    header[tensor.name] = {
        {"dtype", tensor.type->name}, {"shape", tensor.shape}, {"data_offsets", {at, at + tensor.data.size()}}};
    at += tensor.data.size();
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');  // so that the data are aligned to 8
  const uint64_t length = text.size();
  AtomicFile file(path);
  file.write(std::as_bytes(std::span(&length, 1)));
  file.write(text);
  for (const SafeTensorToWrite& tensor : tensors) file.write(tensor.data);
  file.commit();
}

}  // namespace fieldprint
