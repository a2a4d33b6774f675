#include "lab/page.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "fieldprint/chart.h"

namespace fieldprint {
namespace {

constexpr std::string_view kStyle =
    "body{font:16px/1.5 system-ui,'Helvetica Neue',Arial,sans-serif;color:#222;max-width:60rem;margin:2rem auto;"
    "padding:0 1rem}h1{font-size:1.6rem}h2{font-size:1.2rem;margin-top:2rem}"
    "div{overflow-x:auto}table{border-collapse:collapse;font-size:.86rem;font-variant-numeric:tabular-nums}"
    "th,td{padding:.25rem .6rem;border-bottom:1px solid #ddd;text-align:right;white-space:nowrap}"
    "th:first-child,td:first-child{text-align:left}th{border-bottom:2px solid #888}"
    "svg{max-width:100%;height:auto}figure{margin:1rem 0}";

// A bar in a cell would end it.
std::string cell(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '|') out += '\\';
    out += c;
  }
  return out;
}

// HTML of a text in which `this` is code.
std::string words(const std::string& text) {
  std::string out;
  bool code = false;
  for (const char c : xml_escaped(text)) {
    if (c != '`') out += c;
    else out += (code = !code) ? "<code>" : "</code>";
  }
  return out;
}

}  // namespace

struct Page::Markdown {
  std::string& out;

  void operator()(const Heading& part) const { out += fmt::format("## {}\n\n", part.text); }
  void operator()(const Text& part) const { out += part.text + "\n\n"; }
  void operator()(const List& part) const {
    for (const std::string& point : part.points) out += fmt::format("- {}\n", point);
    out += "\n";
  }
  void operator()(const Table& part) const {
    row(part.columns);
    for (size_t i = 0; i < part.columns.size(); ++i) out += i == 0 ? "|---|" : "---:|";
    out += "\n";
    for (const auto& cells : part.rows) row(cells);
    out += "\n";
  }
  void operator()(const Picture& part) const { out += fmt::format("![{}]({})\n\n", part.about, part.file); }

 private:
  void row(const std::vector<std::string>& cells) const {
    out += "|";
    for (const std::string& text : cells) out += fmt::format(" {} |", cell(text));
    out += "\n";
  }
};

struct Page::Html {
  std::string& out;

  void operator()(const Heading& part) const { out += fmt::format("<h2>{}</h2>\n", xml_escaped(part.text)); }
  void operator()(const Text& part) const { out += fmt::format("<p>{}</p>\n", words(part.text)); }
  void operator()(const List& part) const {
    out += "<ul>\n";
    for (const std::string& point : part.points) out += fmt::format("<li>{}</li>\n", words(point));
    out += "</ul>\n";
  }
  void operator()(const Table& part) const {
    out += "<div><table>\n";
    row(part.columns, "th");
    for (const auto& cells : part.rows) row(cells, "td");
    out += "</table></div>\n";
  }
  void operator()(const Picture& part) const {
    out += fmt::format("<figure aria-label=\"{}\">\n{}</figure>\n", xml_escaped(part.about), part.svg);
  }

 private:
  void row(const std::vector<std::string>& cells, std::string_view tag) const {
    out += "<tr>";
    for (const std::string& text : cells) out += fmt::format("<{0}>{1}</{0}>", tag, xml_escaped(text));
    out += "</tr>\n";
  }
};

std::string Page::markdown() const {
  std::string out = fmt::format("# {}\n\n", title_);
  for (const auto& part : parts_) std::visit(Markdown{out}, part);
  out.pop_back();
  return out;
}

std::string Page::html() const {
  std::string out = fmt::format(
      "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width\">\n<title>{0}</title>\n<style>{1}</style>\n</head>\n"
      "<body>\n<h1>{0}</h1>\n",
      xml_escaped(title_), kStyle);
  for (const auto& part : parts_) std::visit(Html{out}, part);
  return out + "</body>\n</html>\n";
}

}  // namespace fieldprint
