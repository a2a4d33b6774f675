#include "engine/cache_files.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <optional>

#include "base/sha256.h"
#include "fieldprint/atomic_file.h"
#include "fieldprint/error.h"

namespace fieldprint {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kSuffix = ".fpcache", kPart = ".fpcache.part-";
constexpr size_t kHashDigits = 32;

// The domain in a file's name; none: it is no name of ours.
std::optional<std::string> domain_in(std::string_view name) {
  constexpr size_t kRest = 1 + kHashDigits + kSuffix.size();
  if (name.size() < 1 + kRest || name.front() != 'd' || !name.ends_with(kSuffix)) return {};
  const std::string_view hex = name.substr(1, name.size() - 1 - kRest);
  if (hex.size() % 2 != 0 || name[1 + hex.size()] != '-') return {};
  if (hex.find_first_not_of("0123456789abcdef") != std::string_view::npos) return {};
  std::string domain;
  for (size_t i = 0; i < hex.size(); i += 2)
    domain += static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16));
  return domain;
}

int highest_clearance(const Spans& spans, size_t tokens) {
  int highest = 0;
  for (const Spans::Span& span : spans.all()) {
    if (span.begin < static_cast<int>(tokens)) highest = std::max(highest, span.label.clearance);
  }
  return highest;
}

}  // namespace

Sequence read_sequence(Stepper& stepper, const std::string& path) {
  Sequence sequence = stepper.begin();
  const SavedSession saved(path);
  saved.check(stepper.model().fingerprint(), sequence.state->format(static_cast<int>(saved.tokens().size())));
  if (const auto hit = stepper.revocations().find(saved.spans()))
    throw Error(ErrorKind::kBadInput, fmt::format("the session holds text of {}, which was revoked", hit->label.source),
                path);
  stepper.check_size(saved.tokens().size());
  stepper.check_ids(saved.tokens());
  const int seen = highest_clearance(saved.spans(), saved.tokens().size());
  if (seen > stepper.options().clearance) {
    throw Error(ErrorKind::kBadInput,
                fmt::format("the session has seen text of clearance {}, {} is allowed at most", seen,
                            stepper.options().clearance),
                path);
  }
  sequence.replay = saved.fill(*sequence.state, stepper.model().step_mutex());
  sequence.tokens.assign(saved.tokens().begin(), saved.tokens().end());
  return sequence;
}

CacheFiles::CacheFiles(std::shared_ptr<Stepper> stepper, const std::string& directory)
    : stepper_(std::move(stepper)), directory_(directory) {
  (void)stepper_->begin().state->format(0);  // or says that there is none
  std::error_code error;
  if (fs::is_directory(directory_, error)) return;
  fs::create_directories(directory_, error);
  if (error) throw Error(ErrorKind::kIo, "cannot make the cache's directory: " + error.message(), directory);
  ::chmod(directory_.c_str(), S_IRWXU);
}

std::vector<CacheFiles::File> CacheFiles::list() const {
  std::vector<File> files;
  std::error_code error;
  for (fs::directory_iterator it(directory_, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (const size_t part = name.find(kPart); part != std::string::npos)
      remove_dead_temporaries((directory_ / name.substr(0, part + kSuffix.size())).string());
    const auto domain = domain_in(name);
    std::error_code gone;
    if (!domain || it->symlink_status(gone).type() != fs::file_type::regular) continue;
    File file;
    file.path = it->path().string();
    file.domain = *domain;
    file.bytes = it->file_size(gone);
    file.used = it->last_write_time(gone);
    if (gone) continue;
    try {
      const SavedSession head(file.path, true);
      file.tokens.assign(head.tokens().begin(), head.tokens().end());
      file.labels = head.spans();
      file.ours = head.fingerprint() == stepper_->model().fingerprint() &&
                  head.kv_type() == stepper_->options().kv_type && !file.tokens.empty() &&
                  file.tokens.size() <= static_cast<size_t>(stepper_->context()) &&
                  highest_clearance(file.labels, file.tokens.size()) <= stepper_->options().clearance;
    } catch (const Error& e) {
      if (e.kind() == ErrorKind::kBadFile) remove(file.path);
      continue;
    }
    if (stepper_->revocations().find(file.labels)) {  // whoever's it is
      remove(file.path);
      continue;
    }
    files.push_back(std::move(file));
  }
  std::sort(files.begin(), files.end(), [](const File& a, const File& b) { return a.used < b.used; });
  return files;
}

std::string CacheFiles::path_of(const std::string& domain, const Sequence& sequence) const {
  std::string name = "d";
  for (const char c : domain) name += fmt::format("{:02x}", static_cast<unsigned char>(c));
  Sha256 hash;
  const auto text = [&hash](std::string_view s) { hash.update(std::as_bytes(std::span(s))); };
  text(stepper_->model().fingerprint() + "\n" + stepper_->options().kv_type + "\n");
  hash.update(std::as_bytes(std::span(sequence.tokens)));
  for (const Spans::Span& span : sequence.state->spans.all()) {
    if (span.begin >= static_cast<int>(sequence.tokens.size())) break;
    const SpanLabel& label = span.label;
    text(fmt::format("\n{} {} {} {}", span.begin, static_cast<int>(label.kind), label.clearance, label.source));
  }
  return (directory_ / (name + "-" + hash.hex().substr(0, kHashDigits) + std::string(kSuffix))).string();
}

uint64_t CacheFiles::write(const std::string& path, const Sequence& sequence) const {
  save_session(path, stepper_->model().fingerprint(), sequence.tokens, *sequence.state);
  std::error_code error;
  const auto bytes = fs::file_size(path, error);
  return error ? 0 : bytes;
}

Sequence CacheFiles::read(const std::string& path) const { return read_sequence(*stepper_, path); }

void CacheFiles::touch(const std::string& path) const {
  std::error_code error;
  fs::last_write_time(path, fs::file_time_type::clock::now(), error);
}

void CacheFiles::remove(const std::string& path) const {
  std::error_code error;
  fs::remove(path, error);
}

}  // namespace fieldprint
