// How well a model predicts whole texts: log-likelihoods over rolling windows, per word, per byte and in bits. What the
// harness's task `wikitext` does, on any text: rows of WikiText's pages (Merity et al. 2016,
// https://arxiv.org/abs/1609.07843) get that task's figures.
#include <utility>

#include "eval/pattern.h"
#include "eval/task.h"
#include "fieldprint/error.h"

namespace fieldprint {
namespace {

// WikiText is split into tokens with spaces between them; this is the text that they came from, as the harness has it.
std::string joined(std::string text) {
  static const std::vector<std::pair<std::string, std::string>> before = {
      {" @-@ ", "-"}, {" @,@ ", ","}, {" @.@ ", "."}, {" : ", ": "}, {" ; ", "; "},
      {" . ", ". "},  {" ! ", "! "},  {" ? ", "? "},  {" , ", ", "},
  };
  static const std::vector<std::pair<Pattern, std::string>> brackets = {
      {Pattern(R"(\(\s*([^\)]*?)\s*\))"), R"((\1))"}, {Pattern(R"(\[\s*([^\]]*?)\s*\])"), R"([\1])"},
      {Pattern(R"(\{\s*([^}]*?)\s*\})"), R"({\1})"},  {Pattern(R"("\s*([^"]*?)\s*")"), R"("\1")"},
      {Pattern(R"('\s*([^']*?)\s*')"), R"('\1')"},
  };
  static const std::vector<std::pair<std::string, std::string>> behind = {
      {"= = = =", "===="}, {"= = =", "==="}, {"= =", "=="},  {" \xC2\xB0 ", "\xC2\xB0"},
      {" \n", "\n"},       {"\n ", "\n"},    {" N ", " 1 "}, {" 's", "'s"},
  };
  text = replace_all(std::move(text), "s '", "s'");
  text = Pattern("/' [0-9]/").replace(text, "/'[0-9]/");  // the harness's slip, which changes such texts too
  for (const auto& [old, with] : before) text = replace_all(std::move(text), old, with);
  for (const auto& [pattern, with] : brackets) text = pattern.replace(text, with);
  for (const auto& [old, with] : behind) text = replace_all(std::move(text), old, with);
  return text;
}

EvalRolling read(const Document& document) {
  static const Pattern spaces(R"(\s+)");
  const bool wiki = has_member(document, "page");
  const std::string& text = text_member(document, wiki ? "page" : "text");
  if (text.empty()) throw Error(ErrorKind::kBadInput, "the document has no text", {}, "leave it out");
  // Words and bytes are those of the text as it is in the file.
  return {.text = wiki ? joined(text) : text,
          .words = static_cast<double>(spaces.count(text) + 1),
          .bytes = static_cast<double>(text.size())};
}

}  // namespace

std::vector<EvalTask> perplexity_tasks() {
  EvalTask task;
  task.name = "perplexity";
  task.version = 2;  // of the harness's wikitext
  task.kind = EvalKind::kRolling;
  task.metrics = {
      {.name = "word_perplexity", .higher_is_better = false, .aggregate = EvalAggregate::kPerplexity},
      {.name = "byte_perplexity", .higher_is_better = false, .aggregate = EvalAggregate::kPerplexity},
      {.name = "bits_per_byte", .higher_is_better = false, .aggregate = EvalAggregate::kBitsPerByte},
  };
  task.note = "on pages of WikiText this is the harness's task wikitext";
  task.rolling = read;
  task.data = {.dataset = "EleutherAI/wikitext_document_level wikitext-2-raw-v1",
               .source =
                   "any text of your own: a plain file is one document, JSON lines have one in each \"text\" (or "
                   "\"page\", as WikiText's pages)",
               .licence = "",
               .split = "test",
               .shots_split = "",
               .files = {"wikitext.jsonl", "perplexity.txt"},
               .document = [](Document row) {
                 text_member(row, has_member(row, "page") ? "page" : "text");
                 return std::optional(std::move(row));
               }};
  return {task};
}

}  // namespace fieldprint
