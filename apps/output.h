// What the user sees: standard output (checked), notes and numbers on standard error, progress bars.
// Colours and bars appear only on a terminal; NO_COLOR and TERM=dumb are honoured. Nothing that a file or a model says
// can command a terminal: all text goes through printable(), here and in pictures.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "fieldprint/error.h"
#include "fieldprint/progress.h"
#include "fieldprint/session.h"

namespace fieldprint::cli {

// Thrown when nobody reads standard output any more: the program ends quietly.
struct ClosedOutput {};

// `text` as it may be shown: broken UTF-8 is U+FFFD, control characters but newline and tab are pictures of themselves.
std::string printable(std::string_view text);
std::string printable_line(std::string_view text);  // newline and tab as pictures too: for names in tables and labels

enum class Style { kPlain, kBold, kDim, kGreen };  // the latter three on a terminal only

// Standard output, buffered; each throws ClosedOutput, or Error kIo where the disk is full.
void write_out(std::string_view text, Style style = Style::kPlain);     // printable()
void write_data(std::string_view bytes);                                // as they are; on a terminal printable()
void write_json(const nlohmann::ordered_json& value, int indent = -1);  // and a newline
void write_json_text(std::string_view text);                            // the same of text that is JSON already
void write_screen(std::string_view text);  // to a terminal: printable already, and movements of the cursor
void flush_out();

// Standard error, printable(); a failure is ignored: there is nowhere left to tell it.
void write_err(std::string_view text, Style style = Style::kPlain);

bool out_is_terminal();
bool err_is_terminal();
bool out_has_cursor();  // a terminal that can go back in a line
bool out_has_styles();  // Style shows

// "fieldprint: TEXT" on stderr. Further lines of the text are indented, so that none passes for one of ours.
void note(std::string_view text);
void tell_error(const Error& error);  // its sentence as a note, then its hint

int terminal_width();  // columns of the terminal that stderr or stdout is; 80 where there is none

std::string bytes_text(uint64_t bytes);                       // "93.8 MiB"
std::string count_text(uint64_t count);                       // "134.5 M"
std::string counted(uint64_t count, std::string_view thing);  // "1 tensor", "2 tensors"

// The run line: tokens/s of prefill and decode, ms a token, GB/s, hash of the logits.
std::string run_line(const RunStats& stats);
void tell_run_line(const std::string& line);  // to stderr; a terminal too narrow for it gets it broken at the bars
std::string_view finish_name(FinishReason reason);  // "end", "stop", "length" ...

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
