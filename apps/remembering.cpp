#include "remembering.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>

#include "context.h"
#include "fieldprint/error.h"
#include "fieldprint/memory_daemon.h"
#include "memory/access.h"
#include "output.h"

namespace fieldprint::cli {

namespace {

constexpr int kWatchMs = 200;  // that a look at what has fallen waits; the end of the program waits for it at most

std::string new_conversation() {
  return fmt::format("{}-{}", std::chrono::system_clock::now().time_since_epoch().count(), ::getpid());
}

std::string anchor_source(const std::vector<std::string>& ids) {
  return ids.size() == 1 ? memory_source(ids.front()) : fmt::format("memory:{}", fmt::join(ids, "+"));
}

}  // namespace

void add_memory_choice(CLI::App& app, MemoryChoice& choice) {
  add_text(app, "--memory", choice.directory, "FOLDER",
           "Recall what this memory has of the question, and hold to its anchors (fieldprint memory --help)")
      ->group("Memory");
  add_text(app, "--principal", choice.principal, "NAME", "Whose records these are")->group("Memory");
}

std::shared_ptr<MemoryCalls> reach_memory(const std::string& directory) {
  // Where it is opened in this process, that is then the one that others reach it through.
  struct Own {
    std::unique_ptr<MemoryCalls> calls;
    std::unique_ptr<MemoryDaemon> door;
  };
  const auto own = std::make_shared<Own>();
  bool daemon = false;
  own->calls = open_in_turn(directory, [&] {
    auto connected = connect_memory(directory);
    daemon = connected != nullptr;
    return connected;
  });
  if (!daemon) own->door = std::make_unique<MemoryDaemon>(*own->calls, MemoryDaemonOptions{.directory = directory});
  return {own, own->calls.get()};
}

Remembering::Remembering(const MemoryChoice& choice, Session& session, bool content_specials)
    : session_(session),
      content_specials_(content_specials),
      conversation_(choice.conversation.empty() ? new_conversation() : choice.conversation),
      calls_(reach_memory(choice.directory)),
      context_(calls_, {choice.principal, conversation_, "chat"}),
      watcher_([this] { watch(); }) {}

Remembering::~Remembering() {
  stopping_ = true;
  watcher_.join();
}

// A record that falls is taken out of the session before its next step, whatever this program's other threads do.
void Remembering::watch() {
  try {
    MemoryContext own(calls_, context_.caller());
    while (!stopping_) {
      std::vector<std::string> fallen = own.fallen(kWatchMs);
      if (fallen.empty()) continue;
      {
        const std::lock_guard lock(mutex_);
        const bool anchored = std::ranges::any_of(pinned_, [&](const std::string& id) {
          return std::ranges::find(fallen, memory_source(id)) != fallen.end();
        });
        if (anchored) fallen.push_back(anchor_source(pinned_));
      }
      session_.revoke(fallen);
    }
  } catch (const Error& error) {
    if (!stopping_) note(fmt::format("the memory is no longer watched: {}", error.what()));
  }
}

void Remembering::pin(const Progress& progress) {
  const MemoryContext::Anchors anchors = context_.anchors();
  {
    const std::lock_guard lock(mutex_);
    if (anchors.ids == pinned_) return;
    pinned_ = anchors.ids;
  }
  if (anchors.ids.empty()) {
    session_.remove_anchor();
  } else {
    session_.set_anchor(encode_content(session_.model().tokenizer(), anchors.text, true, content_specials_),
                        anchor_source(anchors.ids), progress);
  }
}

std::string Remembering::used(const Generation& answer) const {
  if (answer.influence.empty()) return {};
  const std::vector<LabelledTokens> spans = session_.spans();
  std::string lines;
  for (size_t i = 0; i < spans.size(); ++i) {
    const std::string_view id = memory_id(spans[i].label.source);
    if (id.empty()) continue;
    double share = 0;
    for (const auto& row : answer.influence) share += i < row.size() ? static_cast<double>(row[i]) : 0;
    share /= static_cast<double>(answer.influence.size());
    const auto record = std::ranges::find(context_.given(), id, &MemoryContext::Record::id);
    const std::string_view integrity =
        record == context_.given().end() ? "ENDORSED" : std::string_view(record->integrity);
    lines += fmt::format("  {} {:<9} {:5.1f} %\n", id.substr(0, 12), integrity, 100 * share);
  }
  return lines;
}

}  // namespace fieldprint::cli
