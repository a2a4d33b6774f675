// The audit: a session's commits computed again. Each boundary's tokens are read by the model under the labels that
// they had, and what comes out is compared with what the ledger has.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>

#include "fieldprint/error.h"
#include "fieldprint/memory_commits.h"
#include "fieldprint/scheduler.h"
#include "memory/commit_digests.h"
#include "memory/event.h"

namespace fieldprint {

using namespace memory;

namespace {

namespace fs = std::filesystem;

constexpr size_t kReplayBytesMax = 64 << 20;

ledger::Bytes read_exactly(std::ifstream& file, size_t size, const std::string& path) {
  ledger::Bytes bytes(size);
  file.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(size));
  if (file.gcount() != static_cast<std::streamsize>(size))
    throw Error(ErrorKind::kBadFile, "the file ends early", path);
  return bytes;
}

uint64_t number(ledger::ByteView bytes) {
  uint64_t value = 0;
  for (size_t i = bytes.size(); i-- > 0;) value = value << 8 | static_cast<uint64_t>(bytes[i]);
  return value;
}

// COMMIT events of the export, by index. Bundles of 256 events, each event with its length in two bytes (tlog-tiles).
std::map<int64_t, Event> commit_events(const std::string& directory) {
  std::map<int64_t, Event> events;
  std::vector<std::pair<int64_t, fs::path>> bundles;
  const fs::path root = fs::path(directory) / "tile" / "entries";
  for (const auto& entry : fs::recursive_directory_iterator(root)) {
    if (!entry.is_regular_file()) continue;
    // "x001/234" or "x001/234.p/7"
    std::string name = fs::relative(entry.path(), root).string();
    if (const size_t partial = name.find(".p/"); partial != std::string::npos) name.resize(partial);
    std::erase_if(name, [](char c) { return c == 'x' || c == '/'; });
    bundles.emplace_back(std::stoll(name), entry.path());
  }
  for (const auto& [bundle, path] : bundles) {
    std::ifstream file(path, std::ios::binary);
    for (int64_t index = 256 * bundle; file.peek() != EOF; ++index) {
      const ledger::Bytes length = read_exactly(file, 2, path.string());
      const size_t size = static_cast<size_t>(length[0]) << 8 | static_cast<size_t>(length[1]);
      const Event event = decode_event(read_exactly(file, size, path.string()));
      if (event.kind == EventKind::kCommit) events.insert_or_assign(index, event);
    }
  }
  return events;
}

struct Recorded {
  int64_t index;
  Event event;
  Boundary boundary;
};

std::vector<Recorded> recorded(const std::string& directory, const std::string* session) {
  const std::string path = (fs::path(directory) / "commits").string();
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    throw Error(ErrorKind::kNotFound, "the export has no commits to compute again", path,
                "fieldprint memory export --payloads writes them");
  }
  const std::map<int64_t, Event> events = commit_events(directory);
  std::vector<Recorded> all;
  while (file.peek() != EOF) {
    const auto index = static_cast<int64_t>(number(read_exactly(file, 8, path)));
    const uint64_t size = number(read_exactly(file, 4, path));
    if (size > kReplayBytesMax) throw Error(ErrorKind::kBadFile, "a commit is longer than 64 MiB", path);
    const Boundary boundary = decode_replay(read_exactly(file, size, path));
    const auto event = events.find(index);
    if (event == events.end()) throw Error(ErrorKind::kBadFile, "a commit has no event " + std::to_string(index), path);
    if (!session || event->second.at(Field::kSession).text() == *session)
      all.push_back({index, event->second, boundary});
  }
  return all;
}

// What an answer had read and said up to its last boundary.
struct Course {
  Digest link = {};
  std::vector<TokenId> tokens;
  std::vector<PageRange> pages;
  std::shared_ptr<const BoundaryContext> context;

  // Appends what the boundary adds, or goes back where it begins anew.
  void follow(const Boundary& boundary) {
    link = next_link(link, boundary);
    const bool anew = boundary.cause == BoundaryCause::kRollback;
    const auto stands = static_cast<size_t>(anew ? boundary.end : boundary.begin);
    if (stands > tokens.size()) throw Error(ErrorKind::kBadFile, "a commit begins behind the end of the one before it");
    tokens.resize(stands);
    std::erase_if(pages, [&](const PageRange& page) { return page.begin >= static_cast<int>(stands); });
    for (PageRange& page : pages) page.end = std::min(page.end, static_cast<int>(stands));
    tokens.insert(tokens.end(), boundary.tokens.begin(), boundary.tokens.end());
    for (const PageRange& page : boundary.pages) {
      if (!anew) pages.push_back(page);
    }
    context = boundary.context;
  }

  std::vector<LabelledTokens> spans() const {
    std::vector<LabelledTokens> spans;
    size_t at = 0;
    for (const PageRange& page : pages) {
      if (page.begin < static_cast<int>(at)) {
        if (page.end <= static_cast<int>(at)) continue;
      }
      const SpanLabel& label = context->labels.at(static_cast<size_t>(page.span));
      if (spans.empty() || !(spans.back().label == label)) spans.emplace_back().label = label;
      const auto end = static_cast<size_t>(page.end);
      if (end > tokens.size()) throw Error(ErrorKind::kBadFile, "a commit's pages go beyond its tokens");
      spans.back().tokens.insert(spans.back().tokens.end(), tokens.begin() + static_cast<ptrdiff_t>(at),
                                 tokens.begin() + static_cast<ptrdiff_t>(end));
      at = end;
    }
    // What no page has: of an executor without pages.
    if (at < tokens.size()) {
      spans.emplace_back().tokens.assign(tokens.begin() + static_cast<ptrdiff_t>(at), tokens.end());
    }
    return spans;
  }
};

}  // namespace

std::vector<std::string> audit_sessions(const std::string& directory) {
  std::set<std::string> sessions;
  for (const Recorded& one : recorded(directory, nullptr)) sessions.insert(one.event.at(Field::kSession).text());
  return {sessions.begin(), sessions.end()};
}

Audit audit_memory(const std::string& directory, const std::string& session, std::shared_ptr<const Model> model,
                   const AuditOptions& options, const Progress& progress) {
  const std::vector<Recorded> all = recorded(directory, &session);
  if (all.empty()) throw Error(ErrorKind::kNotFound, "the export has no commits of the session " + session, directory);
  SchedulerOptions scheduling;
  scheduling.session.executor = options.executor;
  scheduling.session.kv_type = options.kv_type;
  scheduling.streams = 1;
  scheduling.boundaries = std::make_shared<BoundaryRing>();
  Scheduler scheduler(model, scheduling);

  Audit audit;
  audit.same = true;
  std::map<std::pair<uint64_t, int>, Course> courses;
  const auto parts = [&](const Recorded& one, const std::string& what, int position) {
    audit.same = false;
    audit.difference =
        "event " + std::to_string(one.index) + ": " + what + " from position " + std::to_string(position) + " on";
  };
  for (const Recorded& one : all) {
    if (one.event.id(Field::kModel) != model_digest(*model)) {
      throw Error(ErrorKind::kBadInput, "the session was run with another model", model->info().path);
    }
    Course& course = courses[{one.boundary.stream, one.boundary.answer}];
    course.follow(one.boundary);
    ++audit.commits;
    if (one.event.id(Field::kTokenIds) != token_digest(one.boundary.tokens)) {
      parts(one, "the tokens are not those that were committed", one.boundary.begin);
      return audit;
    }
    if (one.event.id(Field::kPages) != course.link) {
      parts(one, "the pages are not those that were committed", one.boundary.begin);
      return audit;
    }
    if (one.boundary.hidden.empty() || course.tokens.empty()) continue;  // nothing was computed for it
    Request request;
    request.spans = course.spans();
    request.sampling.max_tokens = 0;
    request.boundaries = true;
    request.session = session;
    scheduler.submit(std::move(request)).wait();
    Boundary computed;
    if (!scheduling.boundaries->take(computed)) break;
    audit.tokens += static_cast<int64_t>(course.tokens.size());
    if (hidden_digest(computed.hidden) != one.event.id(Field::kHidden)) {
      parts(one, "the state computed again is another", one.boundary.begin);
      return audit;
    }
    if (progress && !progress("audit", static_cast<uint64_t>(audit.commits), all.size())) {
      throw Error(ErrorKind::kLimit, "stopped");
    }
  }
  return audit;
}

}  // namespace fieldprint
