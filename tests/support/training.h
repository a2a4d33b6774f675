// What tests of training share: tiny models as files, documents of random tokens, and a training made of both.
#pragma once

#include <unistd.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/rng.h"
#include "fieldprint/synth.h"
#include "support/tiny_model.h"
#include "train/trainer.h"

namespace fieldprint {

// A folder of its own, gone with the object.
class TrainingFolder {
 public:
  TrainingFolder() {
    static int counter = 0;
    path_ = std::filesystem::temp_directory_path() /
            ("fieldprint-training-" + std::to_string(::getpid()) + "-" + std::to_string(counter++));
    std::filesystem::create_directories(path_);
  }
  ~TrainingFolder() { std::filesystem::remove_all(path_); }
  TrainingFolder(const TrainingFolder&) = delete;
  TrainingFolder& operator=(const TrainingFolder&) = delete;

  std::string operator/(const std::string& name) const { return (path_ / name).string(); }
  operator std::string() const { return path_.string(); }

 private:
  std::filesystem::path path_;
};

// Random weights in the shape of a preset of synth, F32.
inline std::string write_preset(const TrainingFolder& folder, const std::string& preset) {
  SynthOptions options;
  options.preset = preset;
  options.mix = "F32";
  synth(folder / (preset + ".gguf"), options);
  return folder / (preset + ".gguf");
}

inline std::string write_tiny_llama(const TrainingFolder& folder) {
  TinyModelShape shape;
  shape.width = 32;
  shape.heads = 2;
  shape.kv_heads = 1;
  shape.ffn_width = 32;
  const std::string path = folder / "tiny.gguf";
  with_tiny_model(shape, [&](const GgufWriter& writer) { writer.write(path); });
  return path;
}

inline std::unique_ptr<Trainable> trainable(const std::string& path, int threads = 2) {
  TrainableOptions options;
  options.threads = threads;
  options.trained = [](const std::string&) { return true; };
  return std::make_unique<Trainable>(GgufFile::open(path), options);
}

// Random tokens below 256, of which the first third is only read.
inline Example random_document(int length, uint64_t seed) {
  Rng rng(seed);
  Example document;
  for (int i = 0; i < length; ++i) {
    document.tokens.push_back(static_cast<TokenId>(rng.below(256)));
    document.weights.push_back(i > length / 3 ? 1.0f : 0.0f);
  }
  return document;
}

// Steps of `micro_batches` micro-batches of `documents` documents, of unequal lengths; the same whatever the two are as
// long as their product is.
class RandomDocuments : public BatchSource {
 public:
  RandomDocuments(int micro_batches, int documents) : micro_batches_(micro_batches), documents_(documents) {}

  std::vector<MicroBatch> batch(int64_t step) override {
    examples_.clear();
    const int count = micro_batches_ * documents_;
    for (int i = 0; i < count; ++i) {
      const auto seed = static_cast<uint64_t>(step * 1000 + i);
      examples_.push_back(random_document(3 + static_cast<int>(seed * 7 % 23), seed));
    }
    if (spoil_ == step) examples_.back().weights.back() = std::numeric_limits<float>::quiet_NaN();
    std::vector<MicroBatch> batches(static_cast<size_t>(micro_batches_));
    for (int i = 0; i < count; ++i) {
      batches[static_cast<size_t>(i / documents_)].push_back(&examples_[static_cast<size_t>(i)]);
    }
    return batches;
  }
  std::string fingerprint() const override { return "random documents"; }

  void spoil(int64_t step) { spoil_ = step; }  // a weight of this step is NaN

 private:
  int micro_batches_, documents_;
  int64_t spoil_ = -1;
  std::vector<Example> examples_;
};

// All parameters, one after the other.
inline std::vector<float> values_of(const Trainable& model) {
  std::vector<float> values;
  for (const Parameter& parameter : model.parameters())
    values.insert(values.end(), parameter.values, parameter.values + parameter.count);
  return values;
}

}  // namespace fieldprint
