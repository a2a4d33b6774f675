#include "train/batches.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <map>
#include <numeric>
#include <tuple>

#include "base/rng.h"

namespace fieldprint {

std::vector<MicroBatch> pack(std::span<const Example* const> documents, int64_t max_tokens) {
  std::vector<const Example*> sorted(documents.begin(), documents.end());
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const Example* a, const Example* b) { return a->tokens.size() > b->tokens.size(); });
  std::vector<MicroBatch> batches;
  std::multimap<int64_t, size_t> room;  // left in a micro-batch -> which; equal ones in the order of their making
  for (const Example* document : sorted) {
    const auto length = static_cast<int64_t>(document->tokens.size());
    const auto best = room.lower_bound(length);
    size_t into = batches.size();
    int64_t left = max_tokens;
    if (best == room.end()) {
      batches.emplace_back();
    } else {
      std::tie(left, into) = *best;
      room.erase(best);
    }
    batches[into].push_back(document);
    if (left > length) room.emplace(left - length, into);
  }
  return batches;
}

DatasetBatches::DatasetBatches(std::span<const Example> examples, std::string fingerprint, const BatchOptions& options)
    : examples_(examples), fingerprint_(std::move(fingerprint)), options_(options), order_(examples.size()) {
  assert(!examples.empty() && options.documents > 0);
}

int64_t DatasetBatches::steps_per_epoch() const {
  return (static_cast<int64_t>(examples_.size()) + options_.documents - 1) / options_.documents;
}

std::vector<MicroBatch> DatasetBatches::batch(int64_t step) {
  const int64_t epoch = (step - 1) / steps_per_epoch(), place = (step - 1) % steps_per_epoch();
  if (epoch != epoch_) {
    std::iota(order_.begin(), order_.end(), size_t{0});
    Rng rng(options_.seed * 0x9e3779b97f4a7c15u + static_cast<uint64_t>(epoch));
    for (size_t i = order_.size(); i > 1; --i)
      std::swap(order_[i - 1], order_[static_cast<size_t>(rng.below(static_cast<int64_t>(i)))]);
    epoch_ = epoch;
  }
  std::vector<const Example*> documents;
  const auto end = std::min(static_cast<int64_t>(examples_.size()), (place + 1) * options_.documents);
  for (int64_t i = place * options_.documents; i < end; ++i)
    documents.push_back(&examples_[order_[static_cast<size_t>(i)]]);
  return pack(documents, options_.max_tokens);
}

std::string DatasetBatches::fingerprint() const {
  return fmt::format("{}, {} documents a step in micro-batches of {} tokens", fingerprint_, options_.documents,
                     options_.max_tokens);
}

}  // namespace fieldprint
