#include "engine/loaded_model.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/sha256.h"
#include "engine/inspect.h"
#include "fieldprint/error.h"
#include "kernels/select.h"
#include "text/load_tokenizer.h"

namespace fieldprint {

std::shared_ptr<const Model> Model::load(const std::string& path, const LoadOptions& options) {
  return std::make_shared<LoadedModel>(path, options);
}

namespace {

std::vector<Adapter> load_adapters(const std::vector<AdapterFile>& files, const GgufFile& model) {
  std::vector<Adapter> adapters;
  for (const AdapterFile& file : files) adapters.emplace_back(file, model);
  return adapters;
}

std::vector<Addition> additions_of(const std::vector<Adapter>& adapters) {
  std::vector<Addition> all;
  for (const Adapter& adapter : adapters) all.insert(all.end(), adapter.additions().begin(), adapter.additions().end());
  return all;
}

void add(Sha256& hash, const Addition& addition) {
  const LowRank& by = addition.low_rank;
  const std::string head = fmt::format("\n{} {} {:a} ", addition.tensor, by.rank, by.scale);
  hash.update(std::as_bytes(std::span(head)));
  for (const Weight* weight : {&by.a, &by.b}) hash.update({weight->data, static_cast<size_t>(weight->bytes())});
}

}  // namespace

LoadedModel::LoadedModel(const std::string& path, const LoadOptions& options)
    : file_(GgufFile::open(path)),
      kernels_(&select_kernels(options.isa)),
      adapters_(load_adapters(options.adapters, *file_)),
      architecture_(load_architecture(
          *file_, {options.experts, options.attention_kind, {.trained = {}, .additions = additions_of(adapters_)}})),
      experts_(options.experts) {
  constexpr int kMaxThreads = 1024;
  if (options.threads < 0 || options.threads > kMaxThreads) {
    throw Error(ErrorKind::kUsage, fmt::format("{} threads asked for", options.threads), "--threads",
                fmt::format("1 to {}, or 0 for one per core", kMaxThreads));
  }
  pool_ = std::make_unique<ThreadPool>(options.threads > 0 ? options.threads : hardware_threads());
  info_ = inspect(*file_);
  const Hyperparameters& hp = architecture_->hyperparameters();
  info_.parameters = static_cast<uint64_t>(hp.parameters);
  info_.active_parameters = static_cast<uint64_t>(hp.active_parameters);
  info_.layers = hp.layers;
  info_.width = hp.width;
  info_.vocabulary = hp.vocabulary;
  info_.context = hp.context;
  try {
    tokenizer_ = load_tokenizer(*file_);
    if (tokenizer_->size() > hp.vocabulary) {
      throw Error(ErrorKind::kBadFile,
                  fmt::format("the tokenizer has {} tokens, the embedding {}", tokenizer_->size(), hp.vocabulary),
                  path);
    }
  } catch (const Error&) {
    tokenizer_error_ = std::current_exception();
  }
  try {
    if (const auto source = file_->string("tokenizer.chat_template", ""); !source.empty())
      template_.emplace(std::string(source));
  } catch (const Error&) {
    template_error_ = std::current_exception();
  }
}

const std::string& LoadedModel::fingerprint() const {
  std::call_once(fingerprint_once_, [&] {
    const std::string text = fmt::format("{} experts {}", file_->fingerprint(), experts_);
    Sha256 hash;
    hash.update(std::as_bytes(std::span(text)));
    for (const Adapter& adapter : adapters_) {
      for (const Addition& addition : adapter.additions()) add(hash, addition);
    }
    fingerprint_ = hash.hex();
  });
  return fingerprint_;
}

// Threads wait for each other after every op, so several want long ones, and experts share a step's tokens among them.
// One thread alone, without experts, finds what an op has written in its second-level cache for the next one if the
// step is short; fewer tokens than pass a panel together would pay for its unpacking more often.
int LoadedModel::prefill_chunk(int asked) const {
  constexpr int kLong = 512;
  if (asked > 0) return asked;
  return threads() == 1 && architecture_->hyperparameters().experts == 0 ? kTokenGroup : kLong;
}

const Tokenizer& LoadedModel::tokenizer() const {
  if (tokenizer_error_) std::rethrow_exception(tokenizer_error_);
  return *tokenizer_;
}

const ChatTemplate* LoadedModel::chat_template() const {
  if (template_error_) std::rethrow_exception(template_error_);
  return template_ ? &*template_ : nullptr;
}

}  // namespace fieldprint
