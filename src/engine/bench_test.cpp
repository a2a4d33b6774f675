#include <gtest/gtest.h>

#include "fieldprint/error.h"
#include "fieldprint/evaluate.h"
#include "support/tiny_model.h"

namespace fieldprint {
namespace {

TEST(Bench, CountsWhatASessionReadsAndComputes) {
  const TinyModelFile file({.type = "Q8_0"});
  const auto model = Model::load(file.path());
  const BenchRow decode = bench(model, {BenchTask::Kind::kDecode, 4, 100}, {}, 3);
  EXPECT_LE(decode.least, decode.median);
  EXPECT_LE(decode.median, decode.most);
  EXPECT_NEAR(decode.operations_per_second, decode.median * 2 * static_cast<double>(model->info().active_parameters),
              1);
  // Every weight once a token, and the keys and values of 100 to 104 tokens.
  uint64_t weights = 0;
  for (const TensorInfo& tensor : model->info().tensors) {
    if (tensor.shape.size() == 2) weights += tensor.bytes;
  }
  const double bytes = decode.bytes_per_second / decode.median;
  const auto kv = static_cast<double>(model->info().kv_bytes_per_token);
  EXPECT_GE(bytes, static_cast<double>(weights) + 100 * kv);
  EXPECT_LE(bytes, static_cast<double>(weights) + 104 * kv);
  const BenchRow prefill = bench(model, {BenchTask::Kind::kPrefill, 64, 0}, {}, 1);
  EXPECT_EQ(prefill.least, prefill.most);
  EXPECT_THROW(bench(model, {BenchTask::Kind::kPrefill, 0, 0}, {}, 1), Error);
  EXPECT_THROW(bench(model, {BenchTask::Kind::kDecode, 5000, 0}, {}, 1), Error) << "beyond the context";
  EXPECT_THROW(bench(model, {}, {}, 1, [](std::string_view, uint64_t, uint64_t) { return false; }), Error);
}

TEST(Bench, CeilingsAreNumbers) {
  const TinyModelFile file;
  for (const char* isa : {"scalar", ""}) {
    const Ceilings c = measure_ceilings(*Model::load(file.path(), {.threads = 2, .isa = isa}));
    EXPECT_GT(c.read_bandwidth, 1e8);
    EXPECT_GT(c.int8_rate, 1e8);
    EXPECT_GT(c.f32_rate, 1e7);
  }
}

}  // namespace
}  // namespace fieldprint
