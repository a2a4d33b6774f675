#include "distil/http_client.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <utility>

#include "fieldprint/error.h"

namespace fieldprint {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kMostBytes = size_t{256} << 20;  // of an answer

double seconds_since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

// "127.0.0.1" of "http://127.0.0.1:8080/v1". Throws Error kUsage.
std::string host_of(const std::string& url) {
  const std::unique_ptr<CURLU, void (*)(CURLU*)> parts(curl_url(), curl_url_cleanup);
  char* host = nullptr;
  if (parts == nullptr || curl_url_set(parts.get(), CURLUPART_URL, url.c_str(), 0) != CURLUE_OK ||
      curl_url_get(parts.get(), CURLUPART_HOST, &host, 0) != CURLUE_OK)
    throw Error(ErrorKind::kUsage, "this is no URL of a server", url, "http://127.0.0.1:8080, for example");
  std::string text = host;
  curl_free(host);
  return text;
}

// An address of this machine, not a name that merely looks like one: 127.evil.example is somebody else's.
bool is_local(const std::string& host) {
  in_addr address{};
  const bool numeric = ::inet_pton(AF_INET, host.c_str(), &address) == 1;
  return host == "localhost" || host == "[::1]" || (numeric && ntohl(address.s_addr) >> 24 == 127);
}

}  // namespace

struct HttpClient::Transfer {
  HttpClient& client;
  CURL* curl;
  HttpResult result;
  Clock::time_point begin = Clock::now(), last = begin, last_data = begin;
  bool begun = false;                        // the answer
  bool line_begins = true, comment = false;  // where its bytes are
  double silent_within = 0;                  // of a timeout within the answer: the bound
  bool timed_out = false, too_long = false;

  // Whether there is more in it than comments (": ping") and space, which servers send to keep a connection alive.
  bool says_something(std::string_view bytes) {
    bool something = false;
    for (const char c : bytes) {
      if (c == '\n') line_begins = true, comment = false;
      else if (line_begins && c == ':') line_begins = false, comment = true;
      else if (!comment && c != ' ' && c != '\t' && c != '\r') line_begins = false, something = true;
    }
    return something;
  }

  static size_t on_body(const char* data, size_t, size_t bytes, void* self) {
    auto& transfer = *static_cast<Transfer*>(self);
    transfer.last = Clock::now();
    if (transfer.says_something({data, bytes})) {
      transfer.last_data = transfer.last;
      if (!std::exchange(transfer.begun, true)) transfer.result.first_byte = seconds_since(transfer.begin);
    }
    if (transfer.result.body.size() + bytes > kMostBytes) {
      transfer.too_long = true;
      return 0;
    }
    transfer.result.body.append(data, bytes);
    return bytes;
  }

  static int on_progress(void* self, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
    auto& transfer = *static_cast<Transfer*>(self);
    if (transfer.client.stopped_) return 1;
    const HttpTimeouts& timeouts = transfer.client.timeouts_;
    const double no_data = seconds_since(transfer.last_data), most = std::max(timeouts.first_byte, timeouts.idle);
    if (!transfer.begun) {
      transfer.timed_out = no_data > timeouts.first_byte;
    } else {
      const bool no_bytes = seconds_since(transfer.last) > timeouts.idle;
      transfer.timed_out = no_bytes || no_data > most;
      transfer.silent_within = no_bytes ? timeouts.idle : most;
    }
    return transfer.timed_out ? 1 : 0;
  }

  void judge(CURLcode code) {
    using Break = HttpResult::Break;
    if (code == CURLE_OK) return;
    result.detail = curl_easy_strerror(code);
    if (client.stopped_) {
      result.broke = Break::kStopped;
    } else if (too_long) {
      result.broke = Break::kTooLong;
      result.detail = fmt::format("the answer is longer than {} MiB", kMostBytes >> 20);
    } else if (timed_out) {
      result.broke = Break::kTimeout;
      result.detail = begun ? fmt::format("nothing came for {} s", silent_within)
                            : fmt::format("no answer began within {} s", client.timeouts_.first_byte);
    } else if (code == CURLE_OPERATION_TIMEDOUT) {
      result.broke = Break::kTimeout;
      result.detail = fmt::format("no connection within {} s", client.timeouts_.connect);
    } else if (code == CURLE_COULDNT_CONNECT || code == CURLE_COULDNT_RESOLVE_HOST ||
               code == CURLE_COULDNT_RESOLVE_PROXY || code == CURLE_SSL_CONNECT_ERROR ||
               code == CURLE_PEER_FAILED_VERIFICATION) {
      result.broke = Break::kUnreachable;
    } else {
      result.broke = begun ? Break::kCut : Break::kReset;
    }
  }
};

HttpClient::HttpClient(const std::string& url, std::string key, const HttpTimeouts& timeouts)
    : key_(std::move(key)), timeouts_(timeouts) {
  static const CURLcode ready = curl_global_init(CURL_GLOBAL_DEFAULT);
  if (ready != CURLE_OK) throw Error(ErrorKind::kIo, "libcurl does not start");
  local_ = is_local(host_of(url));
  if (!key_.empty() && !local_ && !url.starts_with("https://"))
    throw Error(ErrorKind::kUsage, "the API key would travel readable by anyone on the way", url,
                "use https, or a tunnel to this machine");
  if (key_.find_first_of("\r\n") != std::string::npos)
    throw Error(ErrorKind::kUsage, "an API key is one line", {}, "look at the variable or file that it comes from");
}

HttpClient::~HttpClient() {
  for (void* handle : handles_) curl_easy_cleanup(handle);
}

HttpResult HttpClient::get(const std::string& url) { return send(url, nullptr); }
HttpResult HttpClient::post(const std::string& url, const std::string& body) { return send(url, &body); }
void HttpClient::stop() { stopped_ = true; }

HttpResult HttpClient::send(const std::string& url, const std::string* body) {
  if (stopped_)
    return {.broke = HttpResult::Break::kStopped, .detail = {}, .content_type = {}, .body = {}, .retry_after = {}};
  CURL* curl = nullptr;
  {
    const std::lock_guard lock(mutex_);
    if (!handles_.empty()) {
      curl = handles_.back();
      handles_.pop_back();
    }
  }
  if (curl == nullptr) curl = curl_easy_init();
  if (curl == nullptr) throw Error(ErrorKind::kIo, "libcurl does not start");
  curl_easy_reset(curl);  // the connections stay

  Transfer transfer{*this, curl, {}};
  std::unique_ptr<curl_slist, void (*)(curl_slist*)> headers(nullptr, curl_slist_free_all);
  if (body != nullptr) {
    headers.reset(curl_slist_append(nullptr, "Content-Type: application/json"));
    // "Expect: 100-continue" would cost a second where a server does not know it.
    headers.reset(curl_slist_append(headers.release(), "Expect:"));
    curl_easy_setopt(curl, CURLOPT_POST, 1L);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body->c_str());
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body->size()));
  }
  if (!key_.empty()) {
    curl_easy_setopt(curl, CURLOPT_HTTPAUTH, CURLAUTH_BEARER);
    curl_easy_setopt(curl, CURLOPT_XOAUTH2_BEARER, key_.c_str());
  }
  if (local_) curl_easy_setopt(curl, CURLOPT_PROXY, "");
  curl_easy_setopt(curl, CURLOPT_URL, url.c_str());
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers.get());
  curl_easy_setopt(curl, CURLOPT_USERAGENT, "fieldprint");
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_TCP_KEEPALIVE, 1L);
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(timeouts_.connect * 1000));
  for (const char* name : {"CURL_CA_BUNDLE", "SSL_CERT_FILE"}) {  // as the curl command has it
    if (const char* bundle = std::getenv(name); bundle != nullptr && *bundle != '\0') {
      curl_easy_setopt(curl, CURLOPT_CAINFO, bundle);
      break;
    }
  }
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, &Transfer::on_body);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &transfer);
  curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, &Transfer::on_progress);
  curl_easy_setopt(curl, CURLOPT_XFERINFODATA, &transfer);

  const CURLcode code = curl_easy_perform(curl);
  HttpResult& result = transfer.result;
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &result.status);
  const char* type = nullptr;
  if (curl_easy_getinfo(curl, CURLINFO_CONTENT_TYPE, &type) == CURLE_OK && type != nullptr) result.content_type = type;
  curl_off_t wait = 0;
  if (curl_easy_getinfo(curl, CURLINFO_RETRY_AFTER, &wait) == CURLE_OK && wait > 0)
    result.retry_after = static_cast<double>(wait);
  transfer.judge(code);
  // What a server says of the key goes into rows and logs, the key must not.
  if (!key_.empty()) {
    constexpr std::string_view kInstead = "<key>";
    for (size_t at = 0; (at = result.body.find(key_, at)) != std::string::npos; at += kInstead.size())
      result.body.replace(at, key_.size(), kInstead);
  }
  const std::lock_guard lock(mutex_);
  handles_.push_back(curl);
  return std::move(result);
}

}  // namespace fieldprint
