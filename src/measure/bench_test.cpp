#include "fieldprint/bench.h"

#include <gtest/gtest.h>

#include "fieldprint/error.h"
#include "support/tiny_model.h"

namespace fieldprint {
namespace {

TEST(Bench, CountsWhatASessionReadsAndComputes) {
  const TinyModelFile file({.type = "Q8_0"});
  const auto model = Model::load(file.path());
  const BenchRow decode = bench(model, {BenchTask::Kind::kDecode, 4, 100}, {}, 3);
  EXPECT_LE(decode.least, decode.median);
  EXPECT_LE(decode.median, decode.most);
  // Of attention: 2 layers, 4 heads of 16, scores and sums, 101 to 104 keys.
  const double pairs = decode.float_operations_per_second / decode.median / (2 * 4 * 16 * 4);
  EXPECT_NEAR(pairs, 102.5, 1e-6);
  uint64_t elements = 0;
  for (const TensorInfo& tensor : model->info().tensors) {
    if (tensor.shape.size() == 2) elements += tensor.shape[0] * tensor.shape[1];
  }
  EXPECT_NEAR(decode.int8_operations_per_second / decode.median, 2.0 * static_cast<double>(elements), 1);
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

TEST(Bench, CountsAttentionInBytesAsIntegers) {
  const TinyModelFile file({.width = 128, .type = "F32"});
  const auto model = Model::load(file.path());
  const BenchRow row = bench(model, {BenchTask::Kind::kDecode, 4, 100}, {.kv_type = "q8_0"}, 1);
  EXPECT_NEAR(row.int8_operations_per_second / row.median / (2 * 4 * 32 * 4), 102.5, 1e-6);
}

TEST(Bench, StreamsShareEachPassOverTheWeights) {
  const TinyModelFile file({.type = "Q8_0"});
  const auto model = Model::load(file.path());
  BenchTask task;
  task.kind = BenchTask::Kind::kStreams;
  task.tokens = 33, task.answer = 3;
  const auto bytes_a_step = [&](int streams) {
    task.streams = streams;
    const BenchRow row = bench(model, task, {.chunk = 20}, 2);
    EXPECT_LE(row.median, row.decode_rate);
    EXPECT_LE(row.least, row.most);
    return row.bytes_per_second / row.decode_rate * streams;
  };
  const double one = bytes_a_step(1), five = bytes_a_step(5);
  const auto kv = static_cast<double>(model->info().kv_bytes_per_token);
  EXPECT_NEAR(five - one, 4 * 35 * kv, 1) << "the weights once, the keys and values of each stream";
  task.answer = 0;
  EXPECT_THROW(bench(model, task, {}, 1), Error);
  task.answer = 1, task.streams = 0;
  EXPECT_THROW(bench(model, task, {}, 1), Error);
}

TEST(Bench, AProfileAccountsForAllThatIsRead) {
  const TinyModelFile file({.type = "Q8_0"});
  const auto model = Model::load(file.path());
  SessionOptions options;
  options.profile = Profile::create();
  const BenchRow row = bench(model, {BenchTask::Kind::kDecode, 4, 30}, options, 3);
  const auto ops = options.profile->by_op(), layers = options.profile->by_layer();
  uint64_t bytes = 0, layer_bytes = 0, products = 0;
  for (const ProfileRow& op : ops) {
    EXPECT_EQ(op.phase, "decode");
    EXPECT_GE(op.seconds, 0) << op.op;
    bytes += op.bytes;
    if (op.op.starts_with("linear")) products += op.calls;
    EXPECT_TRUE(op.op != "attend" || op.calls == 2u * 12u);
  }
  EXPECT_EQ(products, 12u * (2u * 4u + 1u)) << "q k v at once, o, gate and up at once, down; the output";
  EXPECT_NEAR(static_cast<double>(bytes), row.bytes_per_second / row.median * 12, 1);
  ASSERT_EQ(layers.size(), 3u);
  EXPECT_EQ(layers[0].layer, -1);
  EXPECT_EQ(layers[2].layer, 1);
  EXPECT_EQ(layers[1].bytes, layers[2].bytes);
  for (const ProfileRow& layer : layers) layer_bytes += layer.bytes;
  EXPECT_EQ(layer_bytes, bytes);
  const std::string trace = options.profile->trace();
  EXPECT_NE(trace.find(R"("name":"linear ffn_down","cat":"decode","ph":"X")"), std::string::npos) << trace;
  options.profile->clear();
  EXPECT_TRUE(options.profile->by_op().empty());
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
