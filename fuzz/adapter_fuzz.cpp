// Any bytes as an adapter of a model: refused with an Error, or matrices of its tensors' shapes and of finite numbers.
#include <unistd.h>

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "../tests/support/tiny_model.h"
#include "fieldprint/error.h"
#include "models/adapter.h"

namespace {

using namespace fieldprint;

void require(bool condition) {
  if (!condition) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const std::vector<std::byte> bytes = tiny_model_bytes({.layers = 1});
  static const auto model = GgufFile::parse(bytes, "model");
  static const std::string path =
      (std::filesystem::temp_directory_path() / ("fieldprint-fuzz-" + std::to_string(::getpid()) + ".gguf")).string();
  std::ofstream(path, std::ios::binary).write(reinterpret_cast<const char*>(data), static_cast<std::streamsize>(size));
  try {
    const Adapter adapter({path}, *model);
    for (const Addition& addition : adapter.additions()) {
      const GgufTensor& tensor = model->tensor(addition.tensor);
      const LowRank& by = addition.low_rank;
      require(by.a.cols == static_cast<int64_t>(tensor.shape[0]) && by.a.rows == by.rank);
      require(by.b.rows == static_cast<int64_t>(tensor.shape[1]) && by.b.cols == by.rank);
      for (const Weight* weight : {&by.a, &by.b}) {
        for (int64_t i = 0; i < weight->rows * weight->cols; ++i) require(std::isfinite(weight->floats()[i]));
      }
    }
  } catch (const Error&) {
  }
  return 0;
}
