// What the server counts, in Prometheus' text format.
#pragma once

#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

namespace fieldprint::server {

class Metrics {
 public:
  void request(std::string_view path, int status, double seconds);
  void answer(double seconds_to_first, double seconds, int prompt_tokens, int reused_tokens, int tokens);
  std::string text() const;

 private:
  struct Histogram {
    // Seconds, up to: of requests and of first tokens alike.
    static constexpr double kBounds[] = {0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300};
    uint64_t counts[std::size(kBounds) + 1] = {};
    double sum = 0;
    void add(double seconds);
    void write(std::string& out, std::string_view name, std::string_view help) const;
  };

  mutable std::mutex mutex_;
  std::map<std::pair<std::string, int>, uint64_t> requests_;
  Histogram latency_, first_token_;
  uint64_t answers_ = 0, prompt_tokens_ = 0, reused_tokens_ = 0, tokens_ = 0;
};

// One sample with its help and type.
void write_metric(std::string& out, std::string_view name, std::string_view type, std::string_view help, double value);

}  // namespace fieldprint::server
