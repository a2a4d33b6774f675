#include "models/plan.h"

#include <fmt/format.h>

#include "fieldprint/error.h"

namespace fieldprint {
namespace {

// Here, rows of a head that RoPE pairs are neighbours; there they are in two halves.
std::vector<uint32_t> paired_rows(uint64_t rows, uint64_t head_rows) {
  std::vector<uint32_t> order;
  for (uint64_t row = 0; row < rows; ++row) {
    const uint64_t within = row % head_rows;
    order.push_back(static_cast<uint32_t>(row - within + within % 2 * (head_rows / 2) + within / 2));
  }
  return order;
}

// See Heads: the last ones of `count` rows or columns are of the heads of values, a number each or many.
std::vector<uint32_t> tiled_heads(uint64_t count, const Hyperparameters& hp) {
  const auto heads = static_cast<uint64_t>(hp.linear_heads), groups = static_cast<uint64_t>(hp.linear_groups);
  const auto values = heads * static_cast<uint64_t>(hp.linear_columns);
  const uint64_t each = count >= values ? static_cast<uint64_t>(hp.linear_columns) : 1, first = count - heads * each;
  std::vector<uint32_t> order;
  for (uint64_t i = 0; i < first; ++i) order.push_back(static_cast<uint32_t>(i));
  for (uint64_t head = 0; head < heads; ++head) {
    const uint64_t from = head % groups * (heads / groups) + head / groups;
    for (uint64_t i = 0; i < each; ++i) order.push_back(static_cast<uint32_t>(first + from * each + i));
  }
  return order;
}

bool is_vector(const PlannedTensor& tensor) { return tensor.shape.size() == 1; }

}  // namespace

std::vector<PlannedTensor> tensors_of(const TensorPlan& plan, const Hyperparameters& hp) {
  std::vector<PlannedTensor> all;
  const auto add = [&](const TensorRow& row, int index, const LayerPlan& layer) {
    PlannedTensor tensor{&row, index, std::string(row.here), std::string(row.there), {}, row.when(hp, layer)};
    if (index >= 0) {
      tensor.here = fmt::format("blk.{}.{}", index, row.here);
      tensor.there = fmt::format(fmt::runtime(plan.layers_there), index) + tensor.there;
    }
    for (const Length length : row.shape) {
      if (length != nullptr) tensor.shape.push_back(length(hp, layer));
    }
    all.push_back(std::move(tensor));
  };
  for (const TensorRow& row : plan.model) add(row, -1, {});
  for (int i = 0; i < hp.layers; ++i) {
    for (const TensorRow& row : plan.layer) add(row, i, hp.plan[static_cast<size_t>(i)]);
  }
  return all;
}

bool can_have_additions(const PlannedTensor& tensor) {
  const TensorRow& row = *tensor.row;
  const bool is_drawn_as_one = row.draw == Draw::kMatrix || row.draw == Draw::kResidual || row.draw == Draw::kDown;
  const bool is_table = tensor.here.ends_with("_embd.weight") || tensor.here == "token_types.weight";
  return is_drawn_as_one && !is_table && tensor.shape.size() > 1 && row.form != There::kKernel &&
         row.form != There::kVector;
}

std::string name_there(std::string name, std::string_view prefix) {
  constexpr std::string_view kPrefix = "model.";
  return name.starts_with(kPrefix) ? std::string(prefix) + name.substr(kPrefix.size()) : name;
}

std::string name_there(std::string name, std::string_view prefix, uint64_t expert) {
  constexpr std::string_view kMark = "<>";
  if (const size_t at = name.find(kMark); at != std::string::npos)
    name.replace(at, kMark.size(), std::to_string(expert));
  return name_there(std::move(name), prefix);
}

std::vector<uint32_t> rows_there(const PlannedTensor& tensor, const Hyperparameters& hp, const std::string& where) {
  if (is_vector(tensor) && tensor.row->form != There::kHalves) return {};
  if (tensor.row->form == There::kHalves) {
    if (hp.rope.dims != hp.head_dim) {
      throw Error(
          ErrorKind::kUnsupported,
          fmt::format("a RoPE of {} of {} dimensions is not supported in this architecture", hp.rope.dims, hp.head_dim),
          where);
    }
    return paired_rows(static_cast<uint64_t>(tensor.shape[0]), static_cast<uint64_t>(hp.head_dim));
  }
  if (tensor.row->heads != Heads::kRows) return {};
  return tiled_heads(static_cast<uint64_t>(tensor.shape[tensor.shape.size() - 2]), hp);
}

std::vector<uint32_t> columns_there(const PlannedTensor& tensor, const Hyperparameters& hp) {
  // Rows are what the tensor is made of, of one number each in a vector.
  const bool reordered =
      tensor.row->heads == Heads::kColumns || (tensor.row->heads == Heads::kRows && is_vector(tensor));
  return reordered ? tiled_heads(static_cast<uint64_t>(tensor.shape.back()), hp) : std::vector<uint32_t>();
}

}  // namespace fieldprint
