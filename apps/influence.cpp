// Where the tokens of an answer looked: as a table, as JSON, as a picture.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>

#include "context.h"
#include "fieldprint/chart.h"
#include "output.h"
#include "svg.h"

namespace fieldprint::cli {

namespace {

// The columns of influence: the session's spans, and the file's own anchor rows where it has them.
struct Columns {
  std::vector<LabelledTokens> spans;
  std::vector<std::string> names;
  std::vector<float> means;

  Columns(const Session& session, const Generation& answer) : spans(session.spans()) {
    for (const LabelledTokens& span : spans) names.push_back(printable_line(label_text(span.label)));
    const auto in_file = [](const auto& row) { return row.back() > 0; };
    if (std::any_of(answer.influence.begin(), answer.influence.end(), in_file))
      names.emplace_back("anchors in the model");
    means.resize(names.size());
    for (const auto& row : answer.influence)
      for (size_t i = 0; i < names.size(); ++i) means[i] += row[i] / static_cast<float>(answer.influence.size());
  }
};

std::string token_text(const Session& session, TokenId token) {
  return std::string(session.model().tokenizer().piece(token));
}

}  // namespace

// What every reader of these numbers should know.
constexpr const char* kCaution =
    "Shares are the mean over all layers and heads. The beginning of a text draws attention whatever it says, so a "
    "large\nshare alone does not show that the answer came from there.";

std::string influence_table(const Session& session, const Generation& answer) {
  const Columns columns(session, answer);
  std::string out = fmt::format("{:<14}", "token");
  constexpr size_t kWidth = 22;
  for (const auto& name : columns.names) {
    const std::string shown = name.size() > kWidth ? name.substr(0, kWidth - 1) + "…" : name;
    out += fmt::format("  {:>{}}", shown, std::max<size_t>(shown.size(), 9));
  }
  out += "\n";
  const auto row = [&](const std::string& name, const std::vector<float>& shares) {
    std::string line = fmt::format("{:<14}", name);
    for (size_t i = 0; i < columns.names.size(); ++i)
      line += fmt::format("  {:>{}.1f} %", 100 * static_cast<double>(shares[i]),
                          std::clamp<size_t>(columns.names[i].size(), 9, kWidth) - 2);
    return line + "\n";
  };
  for (size_t t = 0; t < answer.tokens.size(); ++t)
    out += row(token_label(token_text(session, answer.tokens[t]), 12), answer.influence[t]);
  return out + row("mean", columns.means) + "\n" + kCaution + "\n";
}

nlohmann::ordered_json influence_json(const Session& session, const Generation& answer) {
  const Columns columns(session, answer);
  nlohmann::ordered_json object;
  auto& spans = object["spans"] = nlohmann::ordered_json::array();
  int begin = 0;
  for (const LabelledTokens& span : columns.spans) {
    const int end = begin + static_cast<int>(span.tokens.size());
    spans.push_back({{"kind", span_kind_name(span.label.kind)},
                     {"source", span.label.source},
                     {"clearance", span.label.clearance},
                     {"begin", begin},
                     {"end", end}});
    begin = end;
  }
  if (columns.names.size() > columns.spans.size()) spans.push_back({{"kind", "model"}});
  auto& tokens = object["tokens"] = nlohmann::ordered_json::array();
  for (size_t t = 0; t < answer.tokens.size(); ++t) {
    const auto& row = answer.influence[t];
    tokens.push_back(
        {{"id", answer.tokens[t]},
         {"text", token_text(session, answer.tokens[t])},
         {"shares", std::vector<float>(row.begin(), row.begin() + static_cast<ptrdiff_t>(columns.names.size()))}});
  }
  return object;
}

std::string influence_html(const Session& session, const Generation& answer) {
  const Columns columns(session, answer);
  const Tokenizer& tokenizer = session.model().tokenizer();
  std::string out =
      "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Where the answer "
      "looked</title>\n<style>\n"
      "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}\n"
      "h1{font-size:1.2rem}h2{font-size:1rem;margin-top:2rem}\n"
      ".span{border-left:6px solid;padding:.2rem .7rem;margin:.4rem "
      "0;white-space:pre-wrap;overflow-wrap:anywhere;background:#fafafa}\n"
      ".name{font-weight:600;font-size:.85rem}\n"
      ".answer{display:flex;flex-wrap:wrap;row-gap:.7rem}\n"
      ".token{position:relative;padding-bottom:28px;white-space:pre}\n"
      ".token svg{position:absolute;left:0;bottom:0;width:100%;height:26px}\n"
      ".break{flex-basis:100%}\n"
      "</style></head><body>\n<h1>Where the answer looked</h1>\n"
      "<p>The bar below each token of the answer shows how its attention was shared between the parts of the context; "
      "point at it for the numbers. " +
      std::string(kCaution) + "</p>\n<h2>Context</h2>\n";
  for (size_t i = 0; i < columns.names.size(); ++i) {
    const bool is_answer = i < columns.spans.size() && columns.spans[i].label.kind == SpanKind::kGenerated;
    std::string text;
    if (i < columns.spans.size() && !(is_answer && i + 1 == columns.spans.size()))
      text = tokenizer.decode(columns.spans[i].tokens);
    const std::string escaped = xml_block(text);
    out += fmt::format(
        "<div class=\"span\" style=\"border-color:{}\"><span class=\"name\">{}: {:.1f} %</span>{}{}</div>\n",
        chart_colour(i), xml_text(columns.names[i]), 100 * static_cast<double>(columns.means[i]),
        escaped.empty() ? (is_answer ? " (the answer itself)" : "") : "\n", escaped);
  }
  out += "<h2>Answer</h2>\n<div class=\"answer\">\n";
  for (size_t t = 0; t < answer.tokens.size(); ++t) {
    std::string title, bars;
    double x = 0;
    for (size_t i = 0; i < columns.names.size(); ++i) {
      const double share = 100 * static_cast<double>(answer.influence[t][i]);
      title += fmt::format("{}: {:.1f} %\n", xml_text(columns.names[i]), share);
      bars += fmt::format("<rect y=\"{:.2f}\" width=\"1\" height=\"{:.2f}\" fill=\"{}\"/>", x, share, chart_colour(i));
      x += share;
    }
    const std::string text = token_text(session, answer.tokens[t]);
    out += fmt::format(
        "<span class=\"token\" title=\"{}\">{}<svg viewBox=\"0 0 1 100\" "
        "preserveAspectRatio=\"none\">{}</svg></span>\n",
        title, xml_text(text), bars);
    if (text.find('\n') != std::string::npos) out += "<span class=\"break\"></span>\n";
  }
  return out + "</div>\n</body></html>\n";
}

}  // namespace fieldprint::cli
