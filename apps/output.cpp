#include "output.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <nlohmann/json.hpp>

#include "files.h"
#include "signals.h"

namespace fieldprint::cli {

namespace {

std::string pending;  // of standard output

// Writes all of `text`; false with errno where that is impossible.
bool write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const auto written = ::write(fd, text.data(), text.size());
    if (written >= 0) {
      text.remove_prefix(static_cast<size_t>(written));
    } else if (errno == EAGAIN) {  // a terminal that another program left non-blocking
      pollfd waiting{fd, POLLOUT, 0};
      ::poll(&waiting, 1, -1);
    } else if (errno != EINTR) {
      return false;
    }
  }
  return true;
}

bool plain_terminal() {
  const char* term = std::getenv("TERM");
  return term == nullptr || *term == 0 || std::string_view(term) == "dumb";
}

bool colour() {
  static const bool wanted = [] {
    const char* no = std::getenv("NO_COLOR");
    return (no == nullptr || *no == 0) && !plain_terminal();
  }();
  return wanted;
}

std::string styled(std::string_view text, Style style, bool terminal) {
  const std::string shown = printable(text);
  if (style == Style::kPlain || !terminal || !colour()) return shown;
  const size_t end = shown.ends_with('\n') ? shown.size() - 1 : shown.size();
  const int code = style == Style::kBold ? 1 : style == Style::kDim ? 2 : 32;
  return fmt::format("\033[{}m{}\033[0m{}", code, shown.substr(0, end), shown.substr(end));
}

void write_raw_err(std::string_view text) { write_all(STDERR_FILENO, text); }

double per_second(double count, double seconds) { return seconds > 0 ? count / seconds : 0; }

}  // namespace

std::string printable(std::string_view text) {
  std::string clean(text);
  repair_utf8(clean);
  std::string out;
  for (size_t i = 0; i < clean.size(); ++i) {
    const auto byte = static_cast<unsigned char>(clean[i]);
    if ((byte < 0x20 && byte != '\n' && byte != '\t') || byte == 0x7f) {
      const int picture = byte == 0x7f ? 0x21 : byte;  // U+2400 + byte: the picture of the control character
      out += "\xe2\x90";
      out += static_cast<char>(0x80 + picture);
    } else if (byte == 0xc2 && static_cast<unsigned char>(clean[i + 1]) < 0xa0) {
      out += "\ufffd";  // C1 controls: U+009B begins an escape sequence too
      ++i;
    } else {
      out += clean[i];
    }
  }
  return out;
}

std::string printable_line(std::string_view text) {
  std::string out;
  for (const char c : printable(text)) {
    if (c == '\n') out += "\u21b5";
    else if (c == '\t') out += "\u21e5";
    else out += c;
  }
  return out;
}

int terminal_width() {
  winsize size{};
  for (const int fd : {STDERR_FILENO, STDOUT_FILENO})
    if (::ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return 80;
}

static void write_raw(std::string_view text) {
  pending += text;
  if (pending.size() > (1u << 16)) flush_out();
}

void write_out(std::string_view text, Style style) { write_raw(styled(text, style, out_is_terminal())); }

void write_data(std::string_view bytes) {
  if (out_is_terminal()) write_out(bytes);
  else write_raw(bytes);
}

void write_screen(std::string_view text) { write_raw(text); }

void write_json(const nlohmann::ordered_json& value, int indent) {
  write_json_text(value.dump(indent, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
}

void write_json_text(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {  // the library escapes C0 alone; these stand in strings only
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte == 0x7f) out += "\\u007f";
    else if (byte == 0xc2 && static_cast<unsigned char>(text[i + 1]) < 0xa0)
      out += fmt::format("\\u{:04x}", static_cast<unsigned char>(text[++i]));
    else out += text[i];
  }
  write_raw(out + "\n");
}

void flush_out() {
  const std::string text = std::move(pending);
  pending.clear();
  if (write_all(STDOUT_FILENO, text)) return;
  if (errno == EPIPE) throw ClosedOutput{};
  throw Error(ErrorKind::kIo, fmt::format("cannot write to standard output: {}", std::strerror(errno)));
}

void write_err(std::string_view text, Style style) { write_raw_err(styled(text, style, err_is_terminal())); }

bool out_is_terminal() {
  static const bool is = ::isatty(STDOUT_FILENO) == 1;
  return is;
}

bool out_has_styles() { return out_is_terminal() && colour(); }

bool out_has_cursor() { return out_is_terminal() && !plain_terminal(); }

bool err_is_terminal() {
  static const bool is = ::isatty(STDERR_FILENO) == 1;
  return is;
}

static std::string indented(std::string_view text) {
  std::string out;
  for (const char c : text) {
    out += c;
    if (c == '\n') out += "  ";
  }
  return out;
}

void note(std::string_view text) { write_err(fmt::format("fieldprint: {}\n", indented(text))); }

void tell_error(const Error& error) {
  note(error.what());
  if (!error.hint().empty()) write_err(fmt::format("hint: {}\n", indented(error.hint())));
}

std::string bytes_text(uint64_t bytes) {
  static constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  double value = static_cast<double>(bytes);
  size_t unit = 0;
  // From 1000 on the next unit: no number has more than three digits before its point.
  while (value >= (unit == 0 ? 1024 : 999.95) && unit + 1 < std::size(kUnits)) value /= 1024, ++unit;
  return unit == 0 ? fmt::format("{} B", bytes) : fmt::format("{:.1f} {}", value, kUnits[unit]);
}

std::string counted(uint64_t count, std::string_view thing) {
  return fmt::format("{} {}{}", count, thing, count == 1 ? "" : "s");
}

std::string count_text(uint64_t count) {
  const auto value = static_cast<double>(count);
  if (count >= 1'000'000'000) return fmt::format("{:.2f} B", value / 1e9);
  if (count >= 1'000'000) return fmt::format("{:.1f} M", value / 1e6);
  if (count >= 10'000) return fmt::format("{:.1f} k", value / 1e3);
  return std::to_string(count);
}

std::string run_line(const RunStats& stats) {
  const std::string reused = stats.reused_tokens > 0 ? fmt::format(" (+{} kept)", stats.reused_tokens) : std::string();
  return fmt::format("prefill {} tok{} {:.1f} tok/s | decode {} tok {:.1f} tok/s {:.2f} ms/tok {:.1f} GB/s | hash {}",
                     stats.prefill_tokens, reused, per_second(stats.prefill_tokens, stats.prefill_seconds),
                     stats.decode_tokens, per_second(stats.decode_tokens, stats.decode_seconds),
                     stats.decode_tokens > 0 ? stats.decode_seconds * 1e3 / stats.decode_tokens : 0.0,
                     per_second(static_cast<double>(stats.decode_bytes), stats.decode_seconds) / 1e9,
                     stats.logits_hash);
}

void tell_run_line(const std::string& line) {
  std::string row;
  const size_t width = err_is_terminal() ? static_cast<size_t>(terminal_width()) : std::string::npos;
  constexpr std::string_view kBar = " | ";
  for (size_t at = 0; at < line.size();) {
    const size_t end = std::min(line.find(kBar, at), line.size());
    const std::string part = line.substr(at, end - at);
    if (!row.empty() && row.size() + kBar.size() + part.size() >= width) {
      write_err(row + "\n", Style::kDim);
      row = "  ";
    } else if (!row.empty()) {
      row += kBar;
    }
    row += part;
    at = end == line.size() ? end : end + kBar.size();
  }
  write_err(row + "\n", Style::kDim);
}

std::string_view finish_name(FinishReason reason) {
  switch (reason) {
    case FinishReason::kEndToken:
      return "end";
    case FinishReason::kStop:
      return "stop";
    case FinishReason::kLength:
      return "length";
    case FinishReason::kContext:
      return "context";
    case FinishReason::kCancelled:
      return "cancelled";
    case FinishReason::kNoneAllowed:
      return "none_allowed";
    case FinishReason::kLoop:
      return "loop";
  }
  return "unknown";
}

ProgressBar::ProgressBar(Unit unit, bool quiet)
    : unit_(unit), shown_(!quiet && err_is_terminal() && !plain_terminal()) {}

ProgressBar::~ProgressBar() { wipe(); }

void ProgressBar::wipe() {
  if (drawn_) write_raw_err("\r\033[K");
  drawn_ = false;
}

Progress ProgressBar::callback() {
  return [this](std::string_view what, uint64_t done, uint64_t total) { return update(what, done, total); };
}

bool ProgressBar::update(std::string_view what, uint64_t done, uint64_t total, std::string_view shown) {
  if (interrupted()) return false;
  const auto now = Clock::now();
  if (what != what_) {
    if (!what_.empty()) start_ = now;  // the first counts from the construction: its first report may come late
    first_done_ = what_.empty() && unit_ == Unit::kCount ? 0 : done;  // a resumed download did not fetch these
    what_ = what;
  }
  using namespace std::chrono_literals;
  if (!shown_ || now - start_ < 500ms || (drawn_ && now - last_ < 100ms)) return true;
  last_ = now;
  drawn_ = true;

  const double seconds = std::chrono::duration<double>(now - start_).count();
  const double rate = static_cast<double>(done - std::min(done, first_done_)) / seconds;
  const auto amount = [this](uint64_t n) { return unit_ == Unit::kBytes ? bytes_text(n) : std::to_string(n); };
  std::string right;
  if (total > 0) {
    const auto left = static_cast<int>(rate > 0 ? static_cast<double>(total - std::min(done, total)) / rate : 0);
    const std::string speed =
        unit_ == Unit::kBytes ? bytes_text(static_cast<uint64_t>(rate)) : fmt::format("{:.1f}", rate);
    right = fmt::format("{:3}%  {} of {}  {}/s  {}:{:02} left", std::min<uint64_t>(100, done * 100 / total),
                        amount(done), amount(total), speed, left / 60, left % 60);
  } else {
    right = amount(done);
  }
  const int width = terminal_width() - 1;
  std::string line = fmt::format("{}  ", shown.empty() ? what : shown);
  const int room = width - static_cast<int>(line.size() + right.size()) - 4;
  if (total > 0 && room >= 8) {
    const auto full = static_cast<size_t>(static_cast<double>(room) *
                                          std::min(1.0, static_cast<double>(done) / static_cast<double>(total)));
    line += fmt::format("[{}{}]  ", std::string(full, '='), std::string(static_cast<size_t>(room) - full, ' '));
  }
  line += right;
  if (static_cast<int>(line.size()) > width) line.resize(static_cast<size_t>(std::max(width, 0)));
  write_raw_err("\r" + printable(line) + "\033[K");
  return true;
}

}  // namespace fieldprint::cli
