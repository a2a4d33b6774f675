#include "server/service_memory.h"

#include <fmt/format.h>

#include <chrono>

#include "base/json.h"
#include "fieldprint/error.h"
#include "memory/commit_digests.h"

namespace fieldprint::server {

namespace {
constexpr int kWatchMs = 200;
}

ServiceMemory::ServiceMemory(std::shared_ptr<MemoryCalls> memory, std::string principal, Scheduler& scheduler,
                             std::shared_ptr<BoundaryRing> ring, std::shared_ptr<const Model> model)
    : memory_(std::move(memory)),
      principal_(std::move(principal)),
      scheduler_(scheduler),
      ring_(std::move(ring)),
      model_(std::move(model)),
      commits_(memory_, {principal_, "", "serve"}, model_, *ring_),
      watcher_([this] { watch(); }) {}

void ServiceMemory::leave_scheduler() {
  stopping_ = true;
  if (watcher_.joinable()) watcher_.join();
}

ServiceMemory::~ServiceMemory() { leave_scheduler(); }

void ServiceMemory::watch() {
  try {
    // All that are fallen now are told to the scheduler too: a cache on disk may hold one.
    MemoryContext context(memory_, {principal_, "", "serve"});
    std::vector<std::string> fallen = context.all_fallen();
    while (!stopping_) {
      if (!fallen.empty()) {
        {
          const std::lock_guard lock(mutex_);
          fallen_.insert(fallen.begin(), fallen.end());
          std::erase_if(pinned_, [&](const auto& entry) {
            return std::ranges::any_of(entry.second.ids,
                                       [&](const std::string& id) { return fallen_.contains(memory_source(id)); });
          });
        }
        scheduler_.revoke(fallen);
      }
      fallen = context.fallen(kWatchMs);
    }
  } catch (const Error&) {  // the memory is gone: nothing can be taken back any more, so nothing goes on
    ring_->abandon();
  }
}

bool ServiceMemory::fallen(const std::string& source) const {
  const std::lock_guard lock(mutex_);
  return fallen_.contains(source);
}

// The anchors in force, computed and pinned where they are not yet.
std::vector<LabelledTokens> ServiceMemory::anchor(const std::string& principal, const std::string& domain) {
  MemoryContext context(memory_, {principal, "", "serve"});
  const std::vector<MemoryContext::Record> records = context.anchor_records();
  Pinned pinned;
  for (const auto& record : records) pinned.ids.push_back(record.id);
  {
    const std::lock_guard lock(mutex_);
    const auto known = pinned_.find({principal, domain});
    if (known != pinned_.end() && known->second.ids == pinned.ids) return known->second.spans;
  }
  if (records.empty()) return {};
  const Tokenizer& tokenizer = model_->tokenizer();
  for (const auto& record : records) {
    const std::string text = record.text + "\n";
    const TextRange all{0, text.size()};
    LabelledTokens span;
    span.label.kind = SpanKind::kAnchor;
    span.label.source = memory_source(record.id);
    span.tokens = pinned.spans.empty()
                      ? encode_prompt(tokenizer, text, {&all, 1})
                      : tokenizer.encode(text, {.add_special = false, .parse_special = true, .plain = {&all, 1}});
    pinned.spans.push_back(std::move(span));
  }
  const AnchorInfo info = scheduler_.compile_anchor(pinned.spans, domain);
  const MemoryCaller engine{principal, "", "serve"};
  for (size_t i = 0; i < pinned.ids.size(); ++i) {
    const nlohmann::json compiled = {{"id", pinned.ids[i]},
                                     {"kv_digest", info.kv_digest},
                                     {"model", memory::hex(memory::model_digest(*model_))},
                                     {"layout", fmt::format("anchors {}, {} tokens", pinned.ids.size(), info.tokens)},
                                     {"tokens", pinned.spans[i].tokens.size()}};
    memory_->call(engine, "compiled", compiled.dump());
  }
  memory_->call(engine, "activated", nlohmann::json({{"ids", pinned.ids}}).dump());
  scheduler_.pin_anchor(info.id, info.kv_digest);
  pinned.anchor = info.id;
  const std::lock_guard lock(mutex_);
  return (pinned_[{principal, domain}] = std::move(pinned)).spans;
}

ServiceMemory::Given ServiceMemory::give(const std::string& principal, const std::string& domain,
                                         std::string_view question) {
  Given given;
  given.session = fmt::format("serve-{}-{}", std::chrono::system_clock::now().time_since_epoch().count(), ++sessions_);
  MemoryContext context(memory_, {principal, given.session, "serve"});
  if (!question.empty()) given.messages = context.recall(question);
  given.anchor = anchor(principal, domain);
  return given;
}

}  // namespace fieldprint::server
