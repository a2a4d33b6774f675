#include "hub/http.h"

#include <curl/curl.h>
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <limits>
#include <memory>
#include <optional>
#include <string_view>
#include <thread>

#include "fieldprint/error.h"

namespace fieldprint {
namespace {

using Clock = std::chrono::steady_clock;

constexpr uint64_t kMostIgnoredBytes = 1 << 20;  // of an error's page
constexpr uint64_t kSpaceCheckBytes = 64 << 20;  // between two looks at the disk where no size was announced
constexpr uint64_t kSpaceMargin = 64 << 20;      // that such a file leaves free

std::string_view trimmed(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t\r\n") - begin + 1);
}

std::optional<uint64_t> number(std::string_view text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return value;
}

std::string lower(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return result;
}

std::string without_quotes(std::string_view text) {
  if (text.size() >= 2 && text.front() == '"' && text.back() == '"') text = text.substr(1, text.size() - 2);
  return lower(text);
}

bool is_sha256(std::string_view text) {
  return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

// What one response says before its body.
struct Headers {
  std::string etag;
  std::string last_modified;
  std::string encoding;
  std::optional<uint64_t> length;
  std::optional<uint64_t> range_begin, range_end, range_total;  // of Content-Range; the end is the byte after the last

  // What If-Range may hold: a strong ETag, else a date.
  std::string validator() const { return is_strong(etag) ? etag : last_modified; }

  // Whether this answer is of another version than the one that `tag`, an earlier validator(), stands for.
  bool changed_since(const std::string& tag) const {
    const std::string& now = is_strong(tag) ? etag : last_modified;
    return !tag.empty() && !now.empty() && now != tag;
  }

  static bool is_strong(const std::string& etag) { return etag.rfind('"', 0) == 0; }
};

// "bytes 5-9/10", "bytes 5-9/*" or "bytes */10"; what makes no sense counts as not said.
void parse_content_range(std::string_view value, Headers& headers) {
  if (value.substr(0, 6) != "bytes ") return;
  value.remove_prefix(6);
  const size_t slash = value.find('/');
  if (slash == std::string_view::npos) return;
  headers.range_total = number(value.substr(slash + 1));
  const std::string_view range = value.substr(0, slash);
  const size_t dash = range.find('-');
  if (dash == std::string_view::npos) return;
  const auto begin = number(range.substr(0, dash)), last = number(range.substr(dash + 1));
  if (!begin || !last || *last < *begin || *last == std::numeric_limits<uint64_t>::max()) return;
  if (headers.range_total && *last >= *headers.range_total) return;
  headers.range_begin = begin;
  headers.range_end = *last + 1;
}

// kNextPart: the answer was good and less than the rest, so that the next one is asked for at once.
enum class Outcome { kDone, kAgain, kNextPart };

class Transfer {
 public:
  Transfer(const Download& download, const Place& place, const Progress& progress, const DownloadPolicy& policy)
      : download_(download),
        place_(place),
        progress_(progress),
        policy_(policy),
        what_("downloading " + place.file.filename().string()),
        output_(place.part, OutputFile::Mode::kAppend) {
    static const CURLcode ready = curl_global_init(CURL_GLOBAL_DEFAULT);
    curl_.reset(ready == CURLE_OK ? curl_easy_init() : nullptr);
    if (!curl_) throw Error(ErrorKind::kIo, "libcurl does not start");
    std::ifstream tag(place.tag);
    std::string size;
    if (std::getline(tag, tag_) && std::getline(tag, size)) total_ = number(size);
  }

  void run() {
    Clock::duration pause = policy_.backoff;
    for (int failures = 0;;) {
      const uint64_t before = output_.size();
      const Outcome outcome = attempt();
      if (outcome == Outcome::kDone) break;
      if (output_.size() > before) {
        received_ = true;
        failures = 0;
        pause = policy_.backoff;
      }
      if (outcome == Outcome::kNextPart) continue;
      if (++failures >= policy_.attempts) {
        throw Error(ErrorKind::kIo, fmt::format("{} (tried {} times)", failure_, failures), download_.url,
                    output_.size() > 0 ? "the same command goes on from where it broke off" : "is there a network?");
      }
      rest(std::max<Clock::duration>(pause, server_pause_));
      pause *= 2;
    }
    output_.flush();
  }

  // Starts over: what lies there is of no use.
  void forget() {
    output_.empty();
    remove_quietly(place_.tag);
    tag_.clear();
    total_.reset();
  }

  bool resumed() const { return resumed_; }
  // Of the whole file, by whoever knows best; 0 = nobody has said.
  uint64_t expected_bytes() const {
    if (download_.bytes != 0) return download_.bytes;
    return linked_bytes_ != 0 ? linked_bytes_ : total_.value_or(0);
  }
  const std::string& expected_sha256() const { return download_.sha256.empty() ? linked_sha256_ : download_.sha256; }

 private:
  Outcome attempt() {
    // Without a tag of its version, what lies there can only be trusted where a hash will tell at the end.
    if (output_.size() > 0 && tag_.empty() && download_.sha256.empty()) forget();
    if (download_.bytes != 0 && output_.size() > download_.bytes) forget();
    if (download_.bytes != 0 && output_.size() == download_.bytes) return Outcome::kDone;

    const uint64_t offset = output_.size();
    offset_ = offset;
    headers_ = {};
    hops_ = 0;
    begun_ = ended_ = changed_ = false;
    ignored_bytes_ = 0;
    server_pause_ = {};
    thrown_ = nullptr;
    CURL* curl = curl_.get();
    curl_easy_reset(curl);

    std::unique_ptr<curl_slist, void (*)(curl_slist*)> extra(nullptr, curl_slist_free_all);
    const auto add = [&extra](const std::string& header) {
      extra.reset(curl_slist_append(extra.release(), header.c_str()));
    };
    if (offset > 0) {
      add(fmt::format("Range: bytes={}-", offset));
      if (!tag_.empty()) add("If-Range: " + tag_);
    }
    if (!download_.token.empty()) {  // libcurl drops it by itself where a redirect leaves the host
      curl_easy_setopt(curl, CURLOPT_HTTPAUTH, CURLAUTH_BEARER);
      curl_easy_setopt(curl, CURLOPT_XOAUTH2_BEARER, download_.token.c_str());
    }
    const bool secure = download_.url.rfind("https://", 0) == 0;
    curl_easy_setopt(curl, CURLOPT_URL, download_.url.c_str());
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, secure ? "https" : "http,https");
    curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, secure ? "https" : "http,https");
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(curl, CURLOPT_MAXREDIRS, 10L);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, extra.get());
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "fieldprint");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_BUFFERSIZE, 256L * 1024);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, policy_.connect_timeout_s);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1024L);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, policy_.stall_timeout_s);
    for (const char* name :
         {"CURL_CA_BUNDLE", "SSL_CERT_FILE"}) {  // as the curl command has it: for proxies with a CA of their own
      if (const char* bundle = std::getenv(name); bundle != nullptr && *bundle != '\0') {
        curl_easy_setopt(curl, CURLOPT_CAINFO, bundle);
        break;
      }
    }
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, &Transfer::on_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, this);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, &Transfer::on_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, this);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, &Transfer::on_progress);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, this);

    const CURLcode code = curl_easy_perform(curl);
    if (thrown_) std::rethrow_exception(thrown_);
    if (changed_) return begin_anew();
    curl_off_t wait_s = 0;
    curl_easy_getinfo(curl, CURLINFO_RETRY_AFTER, &wait_s);
    server_pause_ = std::chrono::seconds(std::clamp<curl_off_t>(wait_s, 0, 60));
    if (code != CURLE_OK && !ended_) return judge_break(code);
    return judge_answer();
  }

  Outcome begin_anew() {
    forget();
    if (++changes_ > policy_.attempts) {
      throw Error(ErrorKind::kIo, "the file on the server changes while it is fetched", download_.url,
                  "try again later, or another mirror");
    }
    return again("the file on the server has changed");
  }

  Outcome again(std::string why) {
    failure_ = std::move(why);
    return Outcome::kAgain;
  }

  Outcome judge_break(CURLcode code) {
    const std::string why = curl_easy_strerror(code);
    switch (code) {
      case CURLE_COULDNT_RESOLVE_HOST:
        if (!received_) {  // a wrong name or no network at all: waiting would not mend it
          throw Error(ErrorKind::kIo, "the server's name is not found: " + why, download_.url,
                      "is there a network, and is the address right?");
        }
        return again("the connection failed: " + why);
      case CURLE_COULDNT_CONNECT:
      case CURLE_OPERATION_TIMEDOUT:
      case CURLE_PARTIAL_FILE:
      case CURLE_RECV_ERROR:
      case CURLE_SEND_ERROR:
      case CURLE_GOT_NOTHING:
      case CURLE_HTTP2:
      case CURLE_HTTP2_STREAM:
      case CURLE_SSL_CONNECT_ERROR:
        return again("the connection failed: " + why);
      default:
        throw Error(ErrorKind::kIo, "the download failed: " + why, download_.url);
    }
  }

  long status() const {
    long code = 0;
    curl_easy_getinfo(curl_.get(), CURLINFO_RESPONSE_CODE, &code);
    return code;
  }

  Outcome judge_answer() {
    const long code = status();
    switch (code) {
      case 200:
      case 206:
        if (!begun_ && !begin_body()) return begin_anew();  // an empty file
        if (output_.size() < expected_bytes()) {
          const bool next = code == 206 && headers_.range_end == output_.size() && output_.size() > offset_;
          return next ? Outcome::kNextPart : again("the file ended early");
        }
        if (code == 206 && expected_bytes() == 0) {  // "5-9/*": the next part, or 416, will tell
          return output_.size() > offset_ ? Outcome::kNextPart : again("the file ended early");
        }
        if (expected_bytes() == 0 && headers_.encoding != "chunked" && http1()) {
          throw Error(ErrorKind::kIo,
                      "the server does not say how long the file is, so a break could not be told from its end",
                      download_.url);
        }
        return Outcome::kDone;
      case 416:  // nothing after our offset: either all is here, or it is another file
        if (headers_.range_total == offset_ && offset_ > 0 && !headers_.changed_since(tag_) &&
            total_.value_or(offset_) == offset_) {
          return Outcome::kDone;
        }
        return begin_anew();
      case 408:
      case 425:
      case 429:
      case 500:
      case 502:
      case 503:
      case 504:
        return again(fmt::format("the server cannot answer now (HTTP {})", code));
      case 401:
      case 403:
        throw Error(ErrorKind::kIo,
                    fmt::format("the server refuses (HTTP {}): the repository is private, gated or not there", code),
                    download_.url, "set HF_TOKEN to the token of an account that may read it");
      case 404:
      case 410:
        throw Error(ErrorKind::kNotFound, fmt::format("the server has no such file (HTTP {})", code), download_.url,
                    "check owner, repository and file: case matters");
      default:
        throw Error(ErrorKind::kIo, fmt::format("the server answered HTTP {}", code), download_.url);
    }
  }

  bool http1() const {
    long version = 0;
    curl_easy_getinfo(curl_.get(), CURLINFO_HTTP_VERSION, &version);
    return version == CURL_HTTP_VERSION_1_0 || version == CURL_HTTP_VERSION_1_1;
  }

  // Before the first byte of an answer that carries the file: is it the rest of ours, or all of it? False: it is
  // neither, so all has to be fetched anew.
  bool begin_body() {
    begun_ = true;
    const bool part = status() == 206;
    if (part && offset_ == 0) {
      throw Error(ErrorKind::kIo, "the server answered with a part of the file that was not asked for", download_.url);
    }
    const auto stated = part ? headers_.range_total : headers_.length;
    if (part &&
        (headers_.range_begin != offset_ || headers_.changed_since(tag_) || (stated && total_ && *stated != *total_))) {
      return false;
    }
    if (part) {
      resumed_ = true;
    } else {
      forget();
      tag_ = headers_.validator();
    }
    if (stated) total_ = stated;
    const uint64_t wanted = download_.bytes != 0 ? download_.bytes : linked_bytes_;
    if (wanted != 0 && total_ && *total_ != wanted) {
      throw Error(ErrorKind::kBadFile, fmt::format("the server's file has {} bytes, not {}", *total_, wanted),
                  download_.url);
    }
    std::ofstream(place_.tag) << tag_ << '\n' << (total_ ? fmt::to_string(*total_) : "") << '\n';
    const uint64_t whole = expected_bytes();
    if (whole > output_.size()) require_space(place_.part.parent_path(), whole - output_.size());
    return true;
  }

  // Returns how much was taken; less than `bytes` ends the transfer.
  size_t body(const char* data, size_t bytes) {
    const long code = status();
    if (code != 200 && code != 206) {  // an error's page: its number says enough
      ignored_bytes_ += bytes;
      ended_ = ignored_bytes_ > kMostIgnoredBytes;
      return ended_ ? 0 : bytes;
    }
    if (!begun_ && !begin_body()) {
      changed_ = true;
      return 0;
    }
    size_t taken = bytes;
    if (code == 206) taken = static_cast<size_t>(std::min<uint64_t>(bytes, *headers_.range_end - output_.size()));
    if (expected_bytes() != 0 && taken > expected_bytes() - std::min(expected_bytes(), output_.size())) {
      forget();
      throw Error(ErrorKind::kBadFile,
                  fmt::format("the server sends more than the {} bytes of the file", expected_bytes()), download_.url);
    }
    if (expected_bytes() == 0) check_unannounced(taken);
    output_.write(data, taken);
    ended_ = taken < bytes;  // the rest is not of this range
    return taken;
  }

  // A file without a size: it may be long, but it must not fill the disk.
  void check_unannounced(size_t more) {
    const uint64_t before = output_.size(), after = before + more;
    if (after > policy_.most_bytes) {
      forget();
      throw Error(ErrorKind::kLimit,
                  fmt::format("the server does not say how long the file is, and it is longer than {} MB",
                              policy_.most_bytes / 1'000'000),
                  download_.url);
    }
    if (before / kSpaceCheckBytes != after / kSpaceCheckBytes || before == offset_)
      require_space(place_.part.parent_path(), kSpaceCheckBytes + kSpaceMargin);
  }

  void header(std::string_view line) {
    if (line.substr(0, 5) == "HTTP/") {
      headers_ = {};
      ++hops_;
      return;
    }
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos) return;
    const std::string key = lower(line.substr(0, colon));
    const std::string_view value = trimmed(line.substr(colon + 1));
    if (key == "etag") headers_.etag = value;
    if (key == "last-modified") headers_.last_modified = value;
    if (key == "content-length") headers_.length = number(value);
    if (key == "transfer-encoding") headers_.encoding = lower(value);
    if (key == "content-range") parse_content_range(value, headers_);
    // The hub's own words about the file, before it hands us over to where the bytes lie.
    if (hops_ == 1 && key == "x-linked-size") linked_bytes_ = number(value).value_or(0);
    if (hops_ == 1 && key == "x-linked-etag" && is_sha256(without_quotes(value)))
      linked_sha256_ = without_quotes(value);
  }

  void tell() {
    const Clock::time_point now = Clock::now();
    if (now - told_ < std::chrono::milliseconds(50)) return;
    told_ = now;
    report(progress_, what_, output_.size(), expected_bytes());
  }

  void rest(Clock::duration pause) {
    for (const Clock::time_point end = Clock::now() + pause; Clock::now() < end;) {
      report(progress_, what_ + ", trying again", output_.size(), expected_bytes());
      std::this_thread::sleep_for(std::min<Clock::duration>(end - Clock::now(), std::chrono::milliseconds(50)));
    }
  }

  // libcurl is C: an exception waits here until it has returned.
  template <typename Work>
  auto guarded(Work work) noexcept -> std::optional<decltype(work())> {
    try {
      return work();
    } catch (...) {
      thrown_ = std::current_exception();
      return std::nullopt;
    }
  }

  static size_t on_header(char* data, size_t, size_t bytes, void* self) {
    auto* transfer = static_cast<Transfer*>(self);
    return transfer->guarded([&] { return transfer->header({data, bytes}), bytes; }).value_or(0);
  }
  static size_t on_body(char* data, size_t, size_t bytes, void* self) {
    auto* transfer = static_cast<Transfer*>(self);
    return transfer->guarded([&] { return transfer->body(data, bytes); }).value_or(0);
  }
  static int on_progress(void* self, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
    auto* transfer = static_cast<Transfer*>(self);
    return transfer->guarded([&] { return transfer->tell(), 0; }).value_or(1);
  }

  const Download& download_;
  const Place& place_;
  const Progress& progress_;
  const DownloadPolicy& policy_;
  const std::string what_;
  OutputFile output_;
  std::unique_ptr<CURL, void (*)(CURL*)> curl_{nullptr, curl_easy_cleanup};

  std::string tag_;  // the validator of what lies in the part
  std::string failure_;
  bool resumed_ = false, received_ = false;
  int changes_ = 0;  // of the file while it was fetched
  uint64_t linked_bytes_ = 0;
  std::string linked_sha256_;
  std::optional<uint64_t> total_;  // of the version that tag_ names, as the server states it
  Clock::time_point told_;

  // of one attempt
  uint64_t offset_ = 0;
  Headers headers_;
  int hops_ = 0;
  bool begun_ = false, ended_ = false, changed_ = false;
  uint64_t ignored_bytes_ = 0;
  Clock::duration server_pause_{};
  std::exception_ptr thrown_;
};

}  // namespace

void download_file(const Download& download, const Place& place, const Progress& progress,
                   const DownloadPolicy& policy) {
  make_folders(place.part.parent_path());
  for (bool second = false;; second = true) {
    Transfer transfer(download, place, progress, policy);
    transfer.run();
    try {
      check_whole(place.part, transfer.expected_bytes(), transfer.expected_sha256(), progress);
      return;
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::kBadFile) throw;
      // The damage may lie in the part that was there before: once more from the start, then it is the server's.
      transfer.forget();
      if (!transfer.resumed() || second) throw Error(ErrorKind::kBadFile, error.what(), download.url, error.hint());
    }
  }
}

}  // namespace fieldprint
