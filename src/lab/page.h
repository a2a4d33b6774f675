// A report that is written once and read as Markdown or as one HTML file.
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace fieldprint {

class Page {
 public:
  explicit Page(std::string title) : title_(std::move(title)) {}

  // In texts and lists `this` is code.
  void heading(std::string text) { parts_.emplace_back(Heading{std::move(text)}); }
  void text(std::string text) { parts_.emplace_back(Text{std::move(text)}); }
  void list(std::vector<std::string> points) { parts_.emplace_back(List{std::move(points)}); }
  // rows [rows][columns]; the first column stands on the left, the others on the right.
  void table(std::vector<std::string> columns, std::vector<std::vector<std::string>> rows) {
    parts_.emplace_back(Table{std::move(columns), std::move(rows)});
  }
  // Markdown refers to the file, HTML has the picture in it.
  void picture(std::string file, std::string about, std::string svg) {
    parts_.emplace_back(Picture{std::move(file), std::move(about), std::move(svg)});
  }

  std::string markdown() const;
  std::string html() const;

 private:
  struct Heading {
    std::string text;
  };
  struct Text {
    std::string text;
  };
  struct List {
    std::vector<std::string> points;
  };
  struct Table {
    std::vector<std::string> columns;
    std::vector<std::vector<std::string>> rows;
  };
  struct Picture {
    std::string file, about, svg;
  };
  std::string title_;
  std::vector<std::variant<Heading, Text, List, Table, Picture>> parts_;

  struct Markdown;
  struct Html;
};

}  // namespace fieldprint
