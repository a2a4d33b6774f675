#include "server/metrics.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace fieldprint::server {

void write_metric(std::string& out, std::string_view name, std::string_view type, std::string_view help, double value) {
  out += fmt::format("# HELP {0} {1}\n# TYPE {0} {2}\n{0} {3}\n", name, help, type, value);
}

void Metrics::Histogram::add(double seconds) {
  const auto* bound = std::find_if(std::begin(kBounds), std::end(kBounds), [&](double b) { return seconds <= b; });
  ++counts[bound - std::begin(kBounds)];
  sum += seconds;
}

void Metrics::Histogram::write(std::string& out, std::string_view name, std::string_view help) const {
  out += fmt::format("# HELP {0} {1}\n# TYPE {0} histogram\n", name, help);
  uint64_t total = 0;
  for (size_t i = 0; i < std::size(kBounds); ++i) {
    total += counts[i];
    out += fmt::format("{}_bucket{{le=\"{}\"}} {}\n", name, kBounds[i], total);
  }
  total += counts[std::size(kBounds)];
  out += fmt::format("{0}_bucket{{le=\"+Inf\"}} {1}\n{0}_sum {2}\n{0}_count {1}\n", name, total, sum);
}

void Metrics::request(std::string_view path, int status, double seconds) {
  const std::lock_guard lock(mutex_);
  ++requests_[{std::string(path), status}];
  latency_.add(seconds);
}

void Metrics::answer(double seconds_to_first, double, int prompt_tokens, int reused_tokens, int tokens) {
  const std::lock_guard lock(mutex_);
  first_token_.add(seconds_to_first);
  ++answers_;
  prompt_tokens_ += static_cast<uint64_t>(prompt_tokens);
  reused_tokens_ += static_cast<uint64_t>(reused_tokens);
  tokens_ += static_cast<uint64_t>(tokens);
}

std::string Metrics::text() const {
  const std::lock_guard lock(mutex_);
  std::string out =
      "# HELP fieldprint_requests_total Requests, by endpoint and status\n"
      "# TYPE fieldprint_requests_total counter\n";
  for (const auto& [key, count] : requests_)
    out += fmt::format("fieldprint_requests_total{{path=\"{}\",status=\"{}\"}} {}\n", key.first, key.second, count);
  latency_.write(out, "fieldprint_request_seconds", "From a request to the end of its reply");
  first_token_.write(out, "fieldprint_first_token_seconds", "From a request to the first token of its answer");
  write_metric(out, "fieldprint_answers_total", "counter", "Answers that ended", static_cast<double>(answers_));
  write_metric(out, "fieldprint_prompt_tokens_total", "counter", "Tokens of prompts",
               static_cast<double>(prompt_tokens_));
  write_metric(out, "fieldprint_cached_tokens_total", "counter", "Tokens of prompts that were not computed again",
               static_cast<double>(reused_tokens_));
  write_metric(out, "fieldprint_generated_tokens_total", "counter", "Tokens of answers", static_cast<double>(tokens_));
  return out;
}

}  // namespace fieldprint::server
