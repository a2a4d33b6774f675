#include "models/tensors.h"

#include <fmt/format.h>

#include "fieldprint/error.h"
#include "kernels/table.h"

namespace fieldprint {

const GgufTensor& TensorSource::take(const std::string& name, int64_t cols, int64_t rows, int64_t depth) {
  const GgufTensor& tensor = file_.tensor(name);
  const auto& s = tensor.shape;
  if (s != std::array<uint64_t, 4>{static_cast<uint64_t>(cols), static_cast<uint64_t>(rows),
                                   static_cast<uint64_t>(depth), 1}) {
    throw Error(ErrorKind::kBadFile,
                fmt::format("tensor {} is {} x {} x {} x {}, the metadata ask for {} x {} x {}", name, s[0], s[1], s[2],
                            s[3], cols, rows, depth),
                file_.path());
  }
  if (taken_.insert(tensor.name).second) elements_ += cols * rows * depth;
  return tensor;
}

Weight TensorSource::matrix(const std::string& name, int64_t rows, int64_t cols) {
  const GgufTensor& tensor = take(name, cols, rows);
  return check_row({tensor.name, tensor.type, tensor.data, rows, cols});
}

Weight TensorSource::check_row(const Weight& w) const {
  if (w.cols > kMaxRow) {
    throw Error(ErrorKind::kUnsupported,
                fmt::format("tensor {} has rows of {}, at most {} can be done", w.name, w.cols, kMaxRow), file_.path());
  }
  return w;
}

Weight TensorSource::vector(const std::string& name, int64_t n, std::deque<std::vector<float>>& storage) {
  const GgufTensor& tensor = take(name, n, 1);
  std::vector<float>& values = storage.emplace_back(static_cast<size_t>(n));
  tensor.type->decode(tensor.data, values.data(), n);
  return {tensor.name, find_quant_type("F32"), reinterpret_cast<const std::byte*>(values.data()), 1, n};
}

Weight TensorSource::experts(const std::string& name, int64_t count, int64_t rows, int64_t cols) {
  const GgufTensor& tensor = take(name, cols, rows, count);
  return check_row({tensor.name, tensor.type, tensor.data, rows * count, cols});
}

Weight TensorSource::kernel(const std::string& name, int64_t taps, int64_t width,
                            std::deque<std::vector<float>>& storage) {
  const GgufTensor& tensor = take(name, taps, width);
  std::vector<float> decoded(static_cast<size_t>(taps * width));
  tensor.type->decode(tensor.data, decoded.data(), taps * width);
  std::vector<float>& values = storage.emplace_back(decoded.size());
  for (int64_t i = 0; i < width; ++i) {
    for (int64_t j = 0; j < taps; ++j)
      values[static_cast<size_t>(j * width + i)] = decoded[static_cast<size_t>(i * taps + j)];
  }
  return {tensor.name, find_quant_type("F32"), reinterpret_cast<const std::byte*>(values.data()), taps, width};
}

void TensorSource::finish() const {
  for (const GgufTensor& tensor : file_.tensors()) {
    if (taken_.contains(tensor.name)) continue;
    throw Error(ErrorKind::kUnsupported,
                fmt::format("tensor {} has no place in architecture {} as supported here", tensor.name,
                            file_.string("general.architecture")),
                file_.path());
  }
}

}  // namespace fieldprint
