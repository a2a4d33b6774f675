// An answer as it comes, on standard output: byte for byte into a pipe or a file, and on a terminal with lines that
// break at spaces.
#pragma once

#include <string>
#include <string_view>

namespace fieldprint::cli {

class AnswerPrinter {
 public:
  // A piece of whole characters; it is on its way when the call returns. Throws as write_out does.
  void write(std::string_view piece);

 private:
  void write_wrapped(std::string_view text);
  void next_line();

  // Of the line on the screen: its columns so far, and the word that may still have to move to the next one.
  int column_ = 0, word_columns_ = 0;
  std::string word_;
  // Of the line in the text: code and tables keep their lines, however long.
  std::string line_start_;
  bool in_code_ = false;
};

}  // namespace fieldprint::cli
