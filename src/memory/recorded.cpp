#include "memory/recorded.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>

#include "fieldprint/error.h"
#include "memory/commit_digests.h"

namespace fieldprint::memory {

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

}  // namespace

std::vector<RecordedCommit> recorded_commits(const std::string& directory, const std::string* session) {
  const std::string path = (fs::path(directory) / "commits").string();
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    throw Error(ErrorKind::kNotFound, "the export has no commits to compute again", path,
                "fieldprint memory export --payloads writes them");
  }
  const std::map<int64_t, Event> events = commit_events(directory);
  std::vector<RecordedCommit> all;
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

void Course::follow(const Boundary& boundary) {
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

std::vector<LabelledTokens> Course::spans() const {
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

}  // namespace fieldprint::memory
