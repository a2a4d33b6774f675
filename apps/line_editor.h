// Lines from the user: edited, with history and pasted text, on a terminal; as they come from anything else.
#pragma once

#include <memory>
#include <string>
#include <vector>

namespace fieldprint::cli {

class LineEditor {
 public:
  enum class Result { kLine, kInterrupt, kEnd };

  // `history`: the file that entries are kept in, "" for none. `completions`: words that Tab completes at a line's
  // start.
  LineEditor(std::string history, std::vector<std::string> completions);
  ~LineEditor();
  LineEditor(const LineEditor&) = delete;
  LineEditor& operator=(const LineEditor&) = delete;

  bool on_terminal() const;  // both sides: keys come in and what is typed can be shown

  // One line without its end; it holds newlines where several lines were pasted, or Alt-Enter was typed.
  Result read(const std::string& prompt, std::string& line);
  void remember(const std::string& entry);

 private:
  struct Terminal;
  std::unique_ptr<Terminal> terminal_;  // nullptr: plain lines
};

}  // namespace fieldprint::cli
