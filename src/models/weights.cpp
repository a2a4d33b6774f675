#include "models/weights.h"

#include <fmt/format.h>

#include <algorithm>

#include "fieldprint/error.h"
#include "kernels/table.h"

namespace fieldprint {

Weights::Weights(const GgufFile& file, const TensorPlan& plan, const Hyperparameters& hp,
                 const WeightOptions& options) {
  for (const PlannedTensor& planned : tensors_of(plan, hp)) {
    Entry& entry = entries_[planned.here];
    if (!planned.wanted) continue;
    const bool trained = options.trained && planned.row->form != There::kNowhere && options.trained(planned.here);
    entry.weight = view(file, planned, trained);
    entry.multiplies = can_have_additions(planned);
    entry.used = planned.row->form == There::kNowhere;  // read with the hyperparameters
    const int64_t count = planned.shape.size() == 3 ? planned.shape[0] : 0;
    const int64_t elements = entry.weight.rows * entry.weight.cols;
    elements_ += elements;
    if (count > 0) idle_ += elements / count * (hp.experts - hp.experts_used);
  }
  const auto is_extra = [&](std::string_view name) {  // of a block behind the last layer
    for (int i = hp.layers; i < hp.layers + hp.extra_blocks; ++i) {
      if (name.starts_with(fmt::format("blk.{}.", i))) return true;
    }
    return false;
  };
  for (const GgufTensor& tensor : file.tensors()) {
    if (is_extra(tensor.name)) continue;
    const auto found = entries_.find(std::string(tensor.name));
    if (found != entries_.end() && found->second.weight.type != nullptr) continue;
    throw Error(ErrorKind::kUnsupported,
                fmt::format("tensor {} has no place in architecture {} as supported here", tensor.name,
                            file.string("general.architecture")),
                file.path());
  }
  for (const Addition& addition : options.additions) add(addition, file.path());
}

void Weights::add(const Addition& addition, const std::string& where) {
  const auto found = entries_.find(addition.tensor);
  if (found == entries_.end() || !found->second.weight.given()) {
    throw Error(ErrorKind::kUsage,
                fmt::format("the adapter changes tensor {}, which the model does not have", addition.tensor), where,
                "is it an adapter of this model?");
  }
  if (!found->second.multiplies) {
    throw Error(ErrorKind::kUnsupported,
                fmt::format("the adapter changes tensor {}, which is no matrix that inputs are multiplied with",
                            addition.tensor),
                where);
  }
  Weight& weight = found->second.weight;
  const LowRank& by = addition.low_rank;
  const int64_t experts = by.rank > 0 ? by.a.rows / by.rank : 0;
  if (experts < 1 || by.a.rows != experts * by.rank || by.a.cols != weight.cols || by.b.rows != weight.rows ||
      by.b.cols != by.rank || weight.rows % experts != 0) {
    throw Error(
        ErrorKind::kBadFile,
        fmt::format("the adapter's matrices for tensor {} are {} x {} and {} x {}, which do not fit its {} x {}",
                    addition.tensor, by.a.rows, by.a.cols, by.b.rows, by.b.cols, weight.rows, weight.cols),
        where, "is it an adapter of this model?");
  }
  std::vector<LowRank>& all = additions_[addition.tensor];
  all.push_back(by);
  weight.additions = &all;
}

Weight Weights::view(const GgufFile& file, const PlannedTensor& planned, bool trained) {
  const GgufTensor& tensor = file.tensor(planned.here);
  std::array<uint64_t, 4> shape{1, 1, 1, 1};
  std::copy(planned.shape.rbegin(), planned.shape.rend(), shape.begin());
  if (tensor.shape != shape) {
    const auto& s = tensor.shape;
    throw Error(ErrorKind::kBadFile,
                fmt::format("tensor {} is {} x {} x {} x {}, the metadata ask for {} x {} x {}", tensor.name, s[0],
                            s[1], s[2], s[3], shape[0], shape[1], shape[2]),
                file.path());
  }
  const auto cols = static_cast<int64_t>(shape[0]), rows = static_cast<int64_t>(shape[1] * shape[2]);
  const bool is_kernel = planned.row->form == There::kKernel;
  const bool is_vector =
      planned.row->form == There::kVector || planned.row->form == There::kLogarithm || planned.here.ends_with(".bias");
  const bool is_matrix = planned.shape.size() > 1 && !is_kernel && !is_vector;
  if (is_matrix) {
    if (cols > kMaxRow) {
      throw Error(ErrorKind::kUnsupported,
                  fmt::format("tensor {} has rows of {}, at most {} can be done", tensor.name, cols, kMaxRow),
                  file.path());
    }
    if (!trained) return {tensor.name, tensor.type, tensor.data, rows, cols};
  }
  std::vector<float>& values = storage_.emplace_back(static_cast<size_t>(rows * cols));
  tensor.type->decode(tensor.data, values.data(), rows * cols);
  if (trained) {
    trained_.push_back({planned.here,
                        values.data(),
                        {tensor.shape.begin(), tensor.shape.begin() + tensor.dims},
                        is_kernel,
                        rows * cols});
  }
  if (is_kernel) {  // {taps, width} in the file
    const std::vector<float> decoded = values;
    for (int64_t i = 0; i < rows; ++i) {
      for (int64_t j = 0; j < cols; ++j)
        values[static_cast<size_t>(j * rows + i)] = decoded[static_cast<size_t>(i * cols + j)];
    }
  }
  Weight weight{tensor.name, find_quant_type("F32"), reinterpret_cast<const std::byte*>(values.data()), rows, cols};
  if (is_kernel) std::swap(weight.rows, weight.cols);
  return weight;
}

const Weight& Weights::operator()(const std::string& name) const {
  static const Weight none;
  const auto found = entries_.find(name);
  if (found == entries_.end()) return none;
  found->second.used = true;
  return found->second.weight;
}

const Weight& Weights::operator()(const std::string& name, int layer) const {
  return (*this)(fmt::format("blk.{}.{}", layer, name));
}

std::vector<std::string> Weights::unused() const {
  std::vector<std::string> names;
  for (const auto& [name, entry] : entries_) {
    if (entry.weight.type != nullptr && !entry.used) names.push_back(name);
  }
  return names;
}

}  // namespace fieldprint
