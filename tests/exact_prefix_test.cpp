// Going back and on again in the layers of LFM2-8B-A1B: 18 short convolutions, so a replay of 36 tokens, 6 attention
// layers, 22 mixtures of experts. Whatever was dropped, forked or saved, the bits are those of never having stopped.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "engine/loaded_model.h"
#include "fieldprint/session.h"
#include "fieldprint/synth.h"
#include "ops/executors.h"
#include "ops/ops.h"

namespace fieldprint {
namespace {

std::vector<TokenId> some_tokens(int count, int seed) {
  std::vector<TokenId> tokens;
  for (int i = 0; i < count; ++i) tokens.push_back((i * 97 + seed * 31 + i / 7) % 256);
  return tokens;
}

std::vector<float> logits(const Session& session) { return {session.logits().begin(), session.logits().end()}; }

TEST(ExactPrefix, InTheLayersOfLfm2With8BillionWeights) {
  const auto folder = std::filesystem::temp_directory_path() / ("fieldprint-prefix-" + std::to_string(::getpid()));
  std::filesystem::create_directories(folder);
  const std::string file = (folder / "model.gguf").string(), saved = (folder / "session").string();
  SynthOptions options;
  options.preset = "tiny-lfm2-8b-a1b";
  options.mix = "Q4_K";
  synth(file, options);
  const auto model = Model::load(file, {.threads = 2});
  const auto tokens = some_tokens(170, 1), other = some_tokens(5, 2);
  Session whole(model);
  whole.append(tokens);
  const auto expected = logits(whole);

  Session session(model, {.chunk = 61, .page_size = 32});
  session.append(tokens);
  for (const int size : {169, 140, 128, 127, 100, 37, 36, 35, 2, 1}) {
    SCOPED_TRACE(size);
    session.truncate(size);
    Session fork = session.fork();
    fork.append(other);
    session.save(saved);
    EXPECT_EQ(session.assign(tokens), size);
    EXPECT_EQ(logits(session), expected) << "after truncation, a fork beside it";
    EXPECT_EQ(fork.assign(tokens), size);
    EXPECT_EQ(logits(fork), expected) << "the fork, back from elsewhere";
    Session restored(model, {.chunk = 7, .page_size = 16});
    restored.load(saved);
    EXPECT_EQ(restored.assign(tokens), size);
    EXPECT_EQ(logits(restored), expected) << "saved and restored";
    restored.load(saved);
    restored.append(other);  // after a replay in chunks of 7, amid which the state is not right
    restored.truncate(size - std::min(size, 3));
    EXPECT_EQ(restored.assign(tokens), size - std::min(size, 3));
    EXPECT_EQ(logits(restored), expected) << "back into what was replayed";
  }
  std::filesystem::remove_all(folder);
}

// Sequences that share a step, some with a prompt's chunk, some with one token, get the bits that each gets alone.
TEST(ExactPrefix, AStepOfSeveralSequencesChangesNoBit) {
  const auto folder = std::filesystem::temp_directory_path() / ("fieldprint-batch-" + std::to_string(::getpid()));
  std::filesystem::create_directories(folder);
  const std::string file = (folder / "model.gguf").string();
  for (const char* preset : {"tiny-lfm2-8b-a1b", "tiny-lfm2", "tiny-llama"}) {
    SCOPED_TRACE(preset);
    SynthOptions options;
    options.preset = preset;
    options.mix = "Q4_K";
    synth(file, options);
    const auto model = loaded(Model::load(file, {.threads = 2}));
    constexpr int kSequences = 3, kSteps = 4;
    constexpr int kCounts[kSteps][kSequences] = {{40, 1, 7}, {1, 30, 1}, {1, 1, 1}, {5, 1, 66}};
    const auto executor = make_executor(
        "run",
        {.kernels = model->kernels(), .pool = model->pool(), .layers = model->architecture().hyperparameters().kv});
    Ops ops(*executor);
    std::vector<std::unique_ptr<SequenceState>> states;
    std::vector<std::vector<TokenId>> tokens;
    std::vector<Session> alone;
    for (int i = 0; i < kSequences; ++i) {
      states.push_back(executor->new_sequence());
      tokens.push_back(some_tokens(120, i + 3));
      alone.emplace_back(model);
    }
    int done[kSequences] = {};
    for (const auto& counts : kCounts) {
      std::vector<StepSequence> step;
      for (int i = 0; i < kSequences; ++i) {
        const auto part = std::span(tokens[static_cast<size_t>(i)])
                              .subspan(static_cast<size_t>(done[i]), static_cast<size_t>(counts[i]));
        step.push_back({states[static_cast<size_t>(i)].get(), done[i], part, LogitRows::kLast, false});
        alone[static_cast<size_t>(i)].append(part);
        done[i] += counts[i];
      }
      executor->begin(step);
      const auto together = executor->finish(model->architecture().forward(ops));
      const auto vocabulary = static_cast<size_t>(model->info().vocabulary);
      for (size_t i = 0; i < kSequences; ++i) {
        const auto row = together.subspan(i * vocabulary, vocabulary);
        EXPECT_EQ(std::vector<float>(row.begin(), row.end()), logits(alone[i]))
            << "sequence " << i << " at " << done[i];
      }
    }
    states.clear();
  }
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace fieldprint
