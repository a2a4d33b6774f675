#include "line_editor.h"

#include <fcntl.h>
#include <histedit.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <iostream>

#include "files.h"
#include "output.h"
#include "signals.h"

namespace fieldprint::cli {

namespace {

constexpr int kHistoryEntries = 1000;
constexpr wchar_t kEscape = 0x1b;

void append_utf8(std::string& out, wchar_t c) {
  const auto u = static_cast<uint32_t>(c);
  const auto tail = [&](int shift) { out += static_cast<char>(0x80 | ((u >> shift) & 0x3f)); };
  if (u < 0x80) {
    out += static_cast<char>(u);
  } else if (u < 0x800) {
    out += static_cast<char>(0xc0 | (u >> 6));
    tail(0);
  } else if (u < 0x10000) {
    out += static_cast<char>(0xe0 | (u >> 12));
    tail(6), tail(0);
  } else {
    out += static_cast<char>(0xf0 | (u >> 18));
    tail(12), tail(6), tail(0);
  }
}

}  // namespace

// libedit decodes by the locale, swallows the first interrupt and knows no bracketed paste, so keys are read here.
struct LineEditor::Terminal {
  EditLine* edit = nullptr;
  History* history = nullptr;
  HistEvent event{};
  std::string history_file, prompt;
  std::vector<std::string> completions;
  bool stopped = false;

  static Terminal& of(EditLine* edit) {
    void* self = nullptr;
    el_get(edit, EL_CLIENTDATA, &self);
    return *static_cast<Terminal*>(self);
  }

  // The next byte, or -1 at the end, or -2 where a signal came first.
  static int next_byte(EditLine* edit) {
    for (;;) {
      pollfd waiting[2] = {{STDIN_FILENO, POLLIN, 0}, {signal_fd(), POLLIN, 0}};
      const int ready = ::poll(waiting, 2, -1);
      if (interrupted()) return -2;
      if (ready > 0 && waiting[1].revents != 0 && window_changed()) el_resize(edit);
      if (ready <= 0 || waiting[0].revents == 0) continue;
      unsigned char byte = 0;
      const auto got = ::read(STDIN_FILENO, &byte, 1);
      if (got == 1) return byte;
      if (got == 0 || (errno != EINTR && errno != EAGAIN)) return -1;
    }
  }

  static int read_key(EditLine* edit, wchar_t* key) {
    int byte = next_byte(edit);
    if (byte >= 0xc2 && byte < 0xf5) {
      const int more = byte < 0xe0 ? 1 : byte < 0xf0 ? 2 : 3;
      uint32_t code = static_cast<uint32_t>(byte) & (0x3fu >> more);
      for (int i = 0; i < more; ++i) {
        byte = next_byte(edit);
        if (byte < 0) break;
        code = code << 6 | (static_cast<uint32_t>(byte) & 0x3f);
      }
      if (byte >= 0) {
        *key = static_cast<wchar_t>(code);
        return 1;
      }
    }
    if (byte >= 0) {
      *key = byte < 0x80 ? static_cast<wchar_t>(byte) : L'\xfffd';
      return 1;
    }
    if (byte == -2) {
      of(edit).stopped = true;
      errno = EINTR;
      return -1;
    }
    return 0;
  }

  // From ESC[200~ to ESC[201~ nothing is a command: newlines and tabs are text.
  static unsigned char paste(EditLine* edit, int) {
    std::wstring text;
    const std::wstring end = L"\x1b[201~";
    wchar_t key = 0, before = 0;
    while (read_key(edit, &key) == 1) {
      const bool second = key == L'\n' && before == L'\r';  // of a line break that is two characters
      before = key;
      if (second) continue;
      text += key == L'\r' ? L'\n' : key;
      if (text.ends_with(end)) {
        text.resize(text.size() - end.size());
        break;
      }
    }
    text.erase(
        std::remove_if(text.begin(), text.end(),
                       [](wchar_t c) { return (c < 0x20 && c != L'\n' && c != L'\t') || c == 0x7f || c == kEscape; }),
        text.end());
    while (text.ends_with(L'\n')) text.pop_back();  // a copied line should wait for Enter
    return insert(edit, text);
  }

  static unsigned char newline(EditLine* edit, int) { return insert(edit, L"\n"); }

  static unsigned char insert(EditLine* edit, const std::wstring& text) {
    return el_winsertstr(edit, text.c_str()) == 0 ? CC_REFRESH : CC_ERROR;
  }

  // Completes a /command; what several begin with is completed as far as they agree.
  static unsigned char complete(EditLine* edit, int) {
    const LineInfo* line = el_line(edit);
    const std::string typed(line->buffer, static_cast<size_t>(line->cursor - line->buffer));
    std::string common;
    int found = 0;
    for (const auto& word : of(edit).completions) {
      if (!word.starts_with(typed) || typed.empty()) continue;
      if (found++ == 0) common = word + " ";
      else
        common.resize(static_cast<size_t>(std::mismatch(common.begin(), common.end(), word.begin(), word.end()).first -
                                          common.begin()));
    }
    if (common.size() <= typed.size()) return CC_ERROR;
    return el_insertstr(edit, common.c_str() + typed.size()) == 0 ? CC_REFRESH : CC_ERROR;
  }

  static char* show_prompt(EditLine* edit) { return of(edit).prompt.data(); }

  Terminal(std::string file, std::vector<std::string> words)
      : history_file(std::move(file)), completions(std::move(words)) {
    // The prompt must not get into what is piped away from standard output.
    edit = el_init("fieldprint", stdin, out_is_terminal() ? stdout : stderr, stderr);
    el_set(edit, EL_CLIENTDATA, this);
    history = history_init();
    ::history(history, &event, H_SETSIZE, kHistoryEntries);
    ::history(history, &event, H_SETUNIQUE, 1);
    if (!history_file.empty()) load_history();
    el_set(edit, EL_HIST, ::history, history);
    el_set(edit, EL_EDITOR, "emacs");
    el_set(edit, EL_PROMPT, show_prompt);
    el_set(edit, EL_SIGNAL, 0);
    el_set(edit, EL_SETTY, "-d", "-icrnl", "-inlcr", nullptr);  // else a pasted "\r\n" arrives as two newlines
    // The wide form: the other one copies the names and never frees them.
    el_wset(edit, EL_ADDFN, L"fieldprint-paste", L"Insert pasted text", paste);
    el_wset(edit, EL_ADDFN, L"fieldprint-newline", L"Insert a newline", newline);
    el_wset(edit, EL_ADDFN, L"fieldprint-complete", L"Complete a /command", complete);
    static constexpr const char* kKeys[][2] = {
        {"\\e[200~", "fieldprint-paste"}, {"\\e\\r", "fieldprint-newline"},  {"\\e\\n", "fieldprint-newline"},
        {"\\t", "fieldprint-complete"},   {"^R", "em-inc-search-prev"},      {"^W", "ed-delete-prev-word"},
        {"\\e[H", "ed-move-to-beg"},      {"\\e[F", "ed-move-to-end"},       {"\\e[1~", "ed-move-to-beg"},
        {"\\e[4~", "ed-move-to-end"},     {"\\e[3~", "ed-delete-next-char"}, {"\\e[1;5C", "em-next-word"},
        {"\\e[1;5D", "ed-prev-word"},
    };
    for (const auto& [key, command] : kKeys) el_set(edit, EL_BIND, key, command, nullptr);
    el_source(edit, nullptr);  // ~/.editrc
    el_set(edit, EL_GETCFN, read_key);
  }

  ~Terminal() {
    el_end(edit);
    history_end(history);
  }

  void load_history() {
    std::error_code ignored;
    const std::filesystem::path path(history_file);
    std::filesystem::create_directories(path.parent_path(), ignored);
    std::filesystem::permissions(path.parent_path(), std::filesystem::perms::owner_all, ignored);
    ::history(history, &event, H_LOAD, history_file.c_str());
    // Entries are appended one by one; what has become long is written anew with only what is kept.
    if (const auto bytes = std::filesystem::file_size(path, ignored); !ignored && bytes > (1u << 20))
      ::history(history, &event, H_SAVE, history_file.c_str());
  }

  void remember(const std::string& entry) {
    ::history(history, &event, H_ENTER, entry.c_str());
    if (history_file.empty()) return;
    const int fd = ::open(history_file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0) return;  // a history that cannot be kept is no reason to stop talking
    std::FILE* file = ::fdopen(fd, "a");
    std::fseek(file, 0, SEEK_END);                                         // at the start libedit writes its header
    ::history(history, &event, H_NSAVE_FP, static_cast<size_t>(0), file);  // the newest and 0 older ones
    std::fclose(file);
  }

  Result read(const std::string& wanted, std::string& line) {
    prompt = wanted;
    stopped = false;
    FILE* screen = nullptr;
    el_get(edit, EL_GETFP, 1, &screen);
    const char* term = std::getenv("TERM");
    const bool pastes = term != nullptr && std::string_view(term) != "dumb";
    if (pastes) std::fputs("\033[?2004h", screen), std::fflush(screen);
    // Before the prompt, not with the first key as libedit would: a Ctrl-D the terminal took in between would be lost.
    el_set(edit, EL_PREP_TERM, 1);
    int count = 0;
    const wchar_t* typed = el_wgets(edit, &count);
    line.clear();
    if (typed != nullptr)
      for (int i = 0; i < count; ++i) append_utf8(line, typed[i]);
    if (pastes) std::fputs("\033[?2004l", screen), std::fflush(screen);
    if (stopped) {
      std::fputs("^C\n", screen), std::fflush(screen);
      return Result::kInterrupt;
    }
    if (typed == nullptr || count <= 0) {
      std::fputs("\n", screen), std::fflush(screen);
      return Result::kEnd;
    }
    if (line.ends_with('\n')) line.pop_back();
    return Result::kLine;
  }
};

LineEditor::LineEditor(std::string history, std::vector<std::string> completions) {
  if (in_is_terminal() && (out_is_terminal() || err_is_terminal()))
    terminal_ = std::make_unique<Terminal>(std::move(history), std::move(completions));
}

LineEditor::~LineEditor() = default;

bool LineEditor::on_terminal() const { return terminal_ != nullptr; }

LineEditor::Result LineEditor::read(const std::string& prompt, std::string& line) {
  if (terminal_) return terminal_->read(prompt, line);
  if (interrupted()) return Result::kInterrupt;
  if (std::getline(std::cin, line)) return Result::kLine;
  return interrupted() ? Result::kInterrupt : Result::kEnd;
}

void LineEditor::remember(const std::string& entry) {
  if (terminal_ && !entry.empty()) terminal_->remember(entry);
}

}  // namespace fieldprint::cli
