#include "train/trainable.h"

#include <gtest/gtest.h>

#include <cmath>
#include <deque>
#include <nlohmann/json.hpp>

#include "support/files.h"
#include "support/paths.h"
#include "support/training.h"

namespace fieldprint {
namespace {

// |a - b| / |b|
double distance(std::span<const float> a, std::span<const double> b) {
  double error = 0, size = 0;
  for (size_t i = 0; i < b.size(); ++i) {
    error += std::pow(static_cast<double>(a[i]) - b[i], 2);
    size += b[i] * b[i];
  }
  return std::sqrt(error / size);
}

// Several documents in one step have the gradients that they have alone, added up: positions, keys, values, windows and
// recurrent states are apart.
TEST(TrainableModel, PackedDocumentsHaveTheSumOfTheirGradients) {
  const TrainingFolder folder;
  std::vector<Example> documents;
  for (const int length : {5, 70, 2, 17, 33})
    documents.push_back(random_document(length, static_cast<uint64_t>(length)));
  for (const char* preset : {"tiny-llama", "tiny-lfm2moe", "tiny-qwen35", "tiny-granitehybrid"}) {
    SCOPED_TRACE(preset);
    const auto model = trainable(write_preset(folder, preset));
    MicroBatch packed;
    std::vector<double> expected(model->gradients().size());
    std::vector<float> losses;
    for (const Example& document : documents) {
      packed.push_back(&document);
      const StepLoss alone = model->loss({&document}, true, 0.25);
      losses.insert(losses.end(), alone.losses.begin(), alone.losses.end());
      for (size_t i = 0; i < expected.size(); ++i) expected[i] += static_cast<double>(model->gradients()[i]);
    }
    const StepLoss together = model->loss(packed, true, 0.25);
    EXPECT_EQ(together.losses, losses);  // to the bit
    const std::span<const float> gradients = model->gradients();
    size_t first = 0;
    for (const Parameter& parameter : model->parameters()) {
      const auto count = static_cast<size_t>(parameter.count);
      const auto sums = std::span(expected).subspan(first, count);
      const bool nothing = std::ranges::all_of(sums, [](double x) { return x == 0; });
      if (nothing) {
        EXPECT_TRUE(std::ranges::all_of(gradients.subspan(first, count), [](float x) { return x == 0; }));
      } else {
        EXPECT_LT(distance(gradients.subspan(first, count), sums), 1e-5) << parameter.name;
      }
      // The bias of the choice of experts decides, and is in no output.
      EXPECT_EQ(nothing, parameter.name.ends_with("exp_probs_b.bias")) << parameter.name << " has no gradient";
      first += count;
    }
  }
}

TEST(TrainableModel, WhatIsOnlyReadTeachesNothing) {
  const TrainingFolder folder;
  const auto model = trainable(write_tiny_llama(folder));
  Example document = random_document(12, 1);
  document.weights.assign(12, 0.0f);
  StepLoss loss = model->loss({&document}, true);
  EXPECT_EQ(loss.weight, 0);
  EXPECT_TRUE(loss.losses.empty());
  EXPECT_TRUE(std::ranges::all_of(model->gradients(), [](float x) { return x == 0; }));
  document.weights[4] = 0.5f;
  loss = model->loss({&document}, true);
  EXPECT_EQ(loss.passed, 4);  // what stands behind is not read
  EXPECT_EQ(loss.losses.size(), 1u);
  const std::vector<float> half(model->gradients().begin(), model->gradients().end());
  document.weights[4] = 1;
  EXPECT_NEAR(model->loss({&document}, true).sum, 2 * loss.sum, 1e-6);
  for (size_t i = 0; i < half.size(); ++i) ASSERT_EQ(model->gradients()[i], 2 * half[i]);
}

// Of `of` places that all are learned, a distribution over some `k` tokens and the rest.
Example with_teacher(Example document, int k, int vocabulary, uint64_t seed) {
  Rng rng(seed);
  document.k = k;
  for (const float weight : document.weights) {
    if (weight == 0) continue;
    std::vector<double> parts;
    double sum = k < vocabulary ? 0.5 : 0;
    for (int i = 0; i < k; ++i) sum += parts.emplace_back(std::exp(static_cast<double>(rng.normal())) / k);
    const auto first = static_cast<int>(rng.below(vocabulary));
    for (int i = 0; i < k; ++i) {
      document.top_ids.push_back((first + 7 * i) % vocabulary);  // 7 and the vocabulary have no factor in common
      document.top_logp.push_back(static_cast<float>(std::log(parts[static_cast<size_t>(i)] / sum)));
    }
    document.top_tail.push_back(static_cast<float>(std::log((k < vocabulary ? 0.5 : 0) / sum)));
  }
  return document;
}

// With z = -log q of each token, which the cross entropy gives token by token: the sum of p (log p + z), and the same
// for the rest as one; the gradient is that sum's.
TEST(TrainableModel, ATeachersDistributionIsLearnedAsTheDivergenceSays) {
  const TrainingFolder folder;
  const auto model = trainable(write_tiny_llama(folder));
  const int vocabulary = model->hyperparameters().vocabulary;
  ASSERT_NE(vocabulary % 7, 0);
  Example document = random_document(6, 4);
  document.weights.assign(6, 0.0f);
  document.weights.back() = 1;
  std::vector<double> z;
  std::vector<std::vector<float>> gradients;
  for (TokenId token = 0; token < vocabulary; ++token) {
    document.tokens.back() = token;
    z.push_back(model->loss({&document}, true).sum);
    gradients.emplace_back(model->gradients().begin(), model->gradients().end());
  }
  for (const int k : {1, 9, vocabulary}) {
    SCOPED_TRACE(k);
    const Example taught = with_teacher(document, k, vocabulary, 5);
    std::vector<double> share(z.size());  // of each token's gradient
    double loss = 0, q_rest = 1, listed = 0;
    for (size_t i = 0; i < static_cast<size_t>(k); ++i) {
      const auto id = static_cast<size_t>(taught.top_ids[i]);
      const auto logp = static_cast<double>(taught.top_logp[i]);
      share[id] = std::exp(logp);
      loss += std::exp(logp) * (logp + z[id]);
      q_rest -= std::exp(-z[id]);
    }
    if (k < vocabulary) {
      const auto tail = static_cast<double>(taught.top_tail[0]);
      loss += std::exp(tail) * (tail - std::log(q_rest));
      for (size_t id = 0; id < z.size(); ++id) {
        if (share[id] == 0) share[id] = std::exp(tail) * std::exp(-z[id]) / q_rest, ++listed;
      }
      EXPECT_EQ(listed, vocabulary - k);
    }
    const StepLoss got = model->loss({&taught}, true);
    EXPECT_NEAR(got.sum, loss, 1e-5 * (1 + loss));
    std::vector<double> expected(gradients[0].size());
    for (size_t id = 0; id < z.size(); ++id) {
      for (size_t i = 0; i < expected.size(); ++i) expected[i] += share[id] * static_cast<double>(gradients[id][i]);
    }
    EXPECT_LT(distance(model->gradients(), expected), 1e-4);
  }
}

// Documents of teachers of several k, and of none, in one step; and a loss that is made of both by shares.
TEST(TrainableModel, TeachersAndTokensAddUp) {
  const TrainingFolder folder;
  const auto model = trainable(write_tiny_llama(folder));
  const int vocabulary = model->hyperparameters().vocabulary;
  const Example plain = random_document(9, 1), few = with_teacher(random_document(7, 2), 2, vocabulary, 6),
                many = with_teacher(random_document(12, 3), 20, vocabulary, 7);
  std::vector<double> expected(model->gradients().size());
  double sum = 0;
  const auto add = [&](const Example& document, double factor, float teacher_share) {
    sum += factor * model->loss({&document}, true, 1, 1, teacher_share).sum;
    for (size_t i = 0; i < expected.size(); ++i) expected[i] += factor * static_cast<double>(model->gradients()[i]);
  };
  add(plain, 1, 1), add(few, 0.75, 1), add(few, 0.25, 0), add(many, 0.75, 1), add(many, 0.25, 0);
  const StepLoss together = model->loss({&many, &plain, &few}, true, 1, 1, 0.75f);
  EXPECT_NEAR(together.sum, sum, 1e-4);
  EXPECT_EQ(together.weight, plain.weight() + few.weight() + many.weight());
  EXPECT_LT(distance(model->gradients(), expected), 1e-5);
  Example tokens_alone = few;
  tokens_alone.k = 0, tokens_alone.top_ids.clear(), tokens_alone.top_logp.clear(), tokens_alone.top_tail.clear();
  EXPECT_EQ(model->loss({&few}, false, 1, 1, 0).losses, model->loss({&tokens_alone}, false).losses);
}

// A model of PyTorch's as a file (tests/golden/train/README.md): "llama", or "gram", which is the lab's.
class GoldenModel : public BatchSource {
 public:
  explicit GoldenModel(const std::string& name)
      : golden_(nlohmann::json::parse(slurp(golden_dir() / "train" / (name + ".json")))), llama_(name == "llama") {
    const std::string architecture = llama_ ? "llama" : "lab";
    writer_.set("general.architecture", architecture);
    const auto set = [&](const char* key, const char* from) {
      writer_.set(architecture + "." + key, golden_[from].get<uint32_t>());
    };
    writer_.set(architecture + ".block_count", uint32_t{llama_ ? 2u : 1u});
    writer_.set(architecture + ".context_length", uint32_t{64});
    if (!llama_) writer_.set("lab.attention.kind", "gram");
    set("embedding_length", "width");
    set("feed_forward_length", "ffn");
    set("attention.head_count", "heads");
    set("vocab_size", "vocabulary");
    writer_.set(architecture + ".rope.freq_base", golden_["rope_base"].get<float>());
    writer_.set(architecture + ".attention.layer_norm_rms_epsilon", golden_["rms_eps"].get<float>());
    for (const auto& [tensor, values] : golden_["weights"].items()) {
      std::vector<uint64_t> shape = {values.size()};
      if (values[0].is_array()) shape = {values[0].size(), values.size()};
      const std::vector<double> flat = numbers("weights", tensor);
      const std::vector<float>& data = data_.emplace_back(flat.begin(), flat.end());
      writer_.add_tensor(tensor, *find_quant_type("F32"), shape, std::as_bytes(std::span(data)));
    }
    for (const nlohmann::json& row : golden_["tokens"]) {
      Example& document = documents_.emplace_back();
      document.tokens = row.get<std::vector<TokenId>>();
      document.weights.assign(document.tokens.size(), 1.0f);
      document.weights[0] = 0;
    }
  }

  const nlohmann::json& golden() const { return golden_; }
  const GgufWriter& writer() const { return writer_; }

  // Of weights, gradients or weights after training. In a llama RoPE turns neighbours here and halves there, so rows of
  // a head of q and k stand in another order.
  std::vector<double> numbers(const char* what, const std::string& name) const {
    const nlohmann::json& values = golden_[what][name];
    if (!values[0].is_array()) return values.get<std::vector<double>>();
    const bool turned = llama_ && (name.ends_with("attn_q.weight") || name.ends_with("attn_k.weight"));
    const size_t head = values.size() / golden_["heads"].get<size_t>();
    std::vector<double> flat;
    for (size_t row = 0; row < values.size(); ++row) {
      const size_t first = row / head * head, in_head = row % head;
      const size_t from = turned ? first + in_head / 2 + in_head % 2 * head / 2 : row;
      const auto numbers = values[from].get<std::vector<double>>();
      flat.insert(flat.end(), numbers.begin(), numbers.end());
    }
    return flat;
  }

  std::vector<MicroBatch> batch(int64_t) override { return {{&documents_[0], &documents_[1]}}; }
  std::string fingerprint() const override { return "golden"; }

 private:
  nlohmann::json golden_;
  bool llama_;
  GgufWriter writer_;
  std::deque<std::vector<float>> data_;
  std::vector<Example> documents_;
};

void expect_trained_as_by_pytorch(const std::string& name) {
  const TrainingFolder folder;
  GoldenModel golden(name);
  golden.writer().write(folder / "model.gguf");
  const auto model = trainable(folder / "model.gguf");
  const MicroBatch batch = golden.batch(1)[0];
  const StepLoss loss = model->loss(batch, true, 0.1);
  EXPECT_EQ(loss.weight, 10);
  size_t first = 0;
  for (const Parameter& parameter : model->parameters()) {
    EXPECT_LT(distance(model->gradients().subspan(first), golden.numbers("gradients", parameter.name)), 1e-5)
        << parameter.name;
    first += static_cast<size_t>(parameter.count);
  }

  const nlohmann::json& optimizer = golden.golden()["optimizer"];
  TrainerOptions options;
  options.optimizer = {.beta1 = optimizer["betas"][0],
                       .beta2 = optimizer["betas"][1],
                       .eps = optimizer["eps"],
                       .weight_decay = optimizer["weight_decay"]};
  options.schedule.peak = optimizer["lr"];
  Trainer trainer(*model, golden, options);
  const auto losses = golden.golden()["losses"].get<std::vector<double>>();
  for (size_t step = 0; step < 10; ++step) EXPECT_NEAR(trainer.advance().loss, losses[step], 1e-6 * losses[step]);
  EXPECT_NEAR(trainer.evaluate({&batch, 1}).loss, losses[10], 1e-6 * losses[10]);
  for (const Parameter& parameter : model->parameters()) {
    const std::vector<double> after = golden.numbers("after", parameter.name);
    const std::vector<double> gradients = golden.numbers("gradients", parameter.name);
    ASSERT_EQ(static_cast<int64_t>(after.size()), parameter.count);
    for (size_t i = 0; i < after.size(); ++i) {
      // Adam divides by the gradient's size, so one that is nearly 0 takes its rounding for a direction.
      const double tolerance = std::abs(gradients[i]) < 1e-7 ? 1e-5 : 1e-6;
      EXPECT_NEAR(static_cast<double>(parameter.values[i]), after[i], tolerance) << parameter.name << " " << i;
    }
  }
}

TEST(TrainableModel, TrainsALlamaAsPyTorchDoes) { expect_trained_as_by_pytorch("llama"); }

TEST(TrainableModel, TrainsGramAttentionAsPyTorchDoes) { expect_trained_as_by_pytorch("gram"); }

}  // namespace
}  // namespace fieldprint
