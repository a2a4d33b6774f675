// The encoder that is a model: the vector that an encoder of texts gives, or, of a model that writes, the state behind
// its last norm at the text's last token. The former finds what means the same; the latter works with any model, less
// well.
#include <algorithm>
#include <cmath>

#include "fieldprint/embed.h"
#include "fieldprint/error.h"
#include "fieldprint/scheduler.h"
#include "memory/encoder.h"

namespace fieldprint::memory {

namespace {

std::string name_of(const Model& model) { return "model-" + model.fingerprint().substr(0, 16); }

class TextEncoder : public Encoder {
 public:
  explicit TextEncoder(std::shared_ptr<const Model> model) : embedder_(std::move(model), {.truncate = true}) {}
  std::string name() const override { return name_of(embedder_.model()); }
  int dimensions() const override { return embedder_.width(); }
  double least_cosine() const override { return 0.1; }
  std::vector<float> encode(std::string_view text) override { return embedder_.embed(text); }

 private:
  Embedder embedder_;
};

class LastState : public Encoder {
 public:
  explicit LastState(std::shared_ptr<const Model> model)
      : model_(std::move(model)), ring_(std::make_shared<BoundaryRing>()) {
    SchedulerOptions options;
    options.streams = 1;
    options.boundaries = ring_;
    scheduler_ = std::make_unique<Scheduler>(model_, options);
    dimensions_ = static_cast<int>(encode("a").size());
  }
  ~LastState() override { ring_->abandon(); }

  std::string name() const override { return name_of(*model_); }
  int dimensions() const override { return dimensions_; }
  double least_cosine() const override { return -1; }  // all states lie on one side: there is no noise to tell

  std::vector<float> encode(std::string_view text) override {
    const TextRange all{0, text.size()};
    Request request;
    request.prompt = encode_prompt(model_->tokenizer(), text, {&all, 1});
    if (request.prompt.empty()) return std::vector<float>(static_cast<size_t>(dimensions_));
    const auto most = static_cast<size_t>(std::max(2, model_->info().context) - 1);
    if (request.prompt.size() > most) request.prompt.resize(most);
    request.sampling.max_tokens = 0;
    request.boundaries = true;
    const Stream stream = scheduler_->submit(std::move(request));
    Boundary boundary;
    if (!ring_->take(boundary)) throw Error(ErrorKind::kIo, "the encoder's model has stopped");
    stream.wait();
    std::vector<float> state = std::move(boundary.hidden);
    double square = 0;
    for (const float value : state) square += static_cast<double>(value) * value;
    for (float& value : state) value = square > 0 ? static_cast<float>(value / std::sqrt(square)) : 0;
    return state;
  }

 private:
  const std::shared_ptr<const Model> model_;
  const std::shared_ptr<BoundaryRing> ring_;
  std::unique_ptr<Scheduler> scheduler_;
  int dimensions_ = 0;
};

}  // namespace

std::unique_ptr<Encoder> make_model_encoder(const std::shared_ptr<const Model>& model) {
  if (!model) {
    throw Error(ErrorKind::kUsage, "the encoder `model` needs a model", {},
                "an encoder such as all-MiniLM-L6-v2 finds best");
  }
  if (is_encoder(*model)) return std::make_unique<TextEncoder>(model);
  return std::make_unique<LastState>(model);
}

}  // namespace fieldprint::memory
