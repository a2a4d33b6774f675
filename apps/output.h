// What the user sees: standard output (checked), notes and numbers on standard error, progress bars.
// Colours and bars appear only on a terminal; NO_COLOR and TERM=dumb are honoured.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "fieldprint/progress.h"
#include "fieldprint/session.h"

namespace fieldprint::cli {

// Thrown by write_out when nobody reads standard output any more: the program ends quietly.
struct ClosedOutput {};

// Buffered; throws ClosedOutput, or Error kIo where the disk is full.
void write_out(std::string_view text);
void flush_out();
void write_err(std::string_view text);  // a failure is ignored: there is nowhere left to tell it

bool out_is_terminal();
bool err_is_terminal();

void note(std::string_view text);  // "fieldprint: TEXT" on stderr

// `text` for a terminal: control characters but newline and tab are shown, not obeyed, since a model may write
// anything.
std::string terminal_safe(std::string_view text);

std::string bold(std::string_view text, bool terminal);
std::string dim(std::string_view text, bool terminal);

std::string bytes_text(uint64_t bytes);  // "93.8 MiB"
std::string count_text(uint64_t count);  // "134.5 M"

// The run line: tokens/s of prefill and decode, ms a token, GB/s, hash of the logits.
std::string run_line(const RunStats& stats);
void tell_run_line(const std::string& line);  // to stderr; a terminal too narrow for it gets it broken at the bars
std::string_view finish_name(FinishReason reason);  // "end", "stop", "length", "context", "cancelled"

// One line on stderr that is redrawn in place and wiped at the end. It shows up once work has lasted half a second.
class ProgressBar {
 public:
  enum class Unit { kBytes, kCount };

  explicit ProgressBar(Unit unit, bool quiet = false);
  ~ProgressBar();
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  // False once a signal asked to stop. `shown` stands on the line in place of `what`.
  bool update(std::string_view what, uint64_t done, uint64_t total, std::string_view shown = {});
  void wipe();          // before something else is printed
  Progress callback();  // update(), for the library

 private:
  using Clock = std::chrono::steady_clock;
  Unit unit_;
  bool shown_;  // on a terminal at all
  bool drawn_ = false;
  std::string what_;
  uint64_t first_done_ = 0;
  Clock::time_point start_ = Clock::now(), last_ = start_;
};

}  // namespace fieldprint::cli
