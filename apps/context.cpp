#include "context.h"

#include <fmt/format.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "fieldprint/error.h"
#include "files.h"
#include "output.h"

namespace fieldprint::cli {

void add_clearance(CLI::App& app, SessionOptions& options) {
  add_integer(app, "--clearance", options.clearance, 0,
              "Leave out, as if it did not exist, all context above clearance N")
      ->default_str("")
      ->group("Prompt");
}

void add_anchor(CLI::App& app, std::string& anchor) {
  add_text(app, "--anchor", anchor, "FILE", "A text (or FILE with it) that comes first, computed once and kept")
      ->group("Prompt");
}

static std::string whole_text(const std::string& file) {
  std::string text = read_file(file);
  if (repair_utf8(text)) note(fmt::format("{} is not all UTF-8; broken bytes became U+FFFD", file));
  return text;
}

std::vector<Message> read_documents(const std::vector<std::string>& documents, int clearance) {
  std::vector<Message> messages;
  for (const std::string& document : documents) {
    const size_t digits = document.find_first_not_of("0123456789");
    const bool labelled = digits > 0 && digits != std::string::npos && document[digits] == ':';
    SpanLabel label{.kind = SpanKind::kRetrieved};
    if (labelled)
      label.clearance = static_cast<int>(parse_integer(
          document.substr(0, digits), 0, std::numeric_limits<int>::max() - 1, "--document N:FILE, its N"));
    const std::string file = labelled ? document.substr(digits + 1) : document;
    if (label.clearance > clearance) continue;
    label.source = std::filesystem::path(file).filename().string();
    std::string text = whole_text(file);
    if (text.empty()) throw Error(ErrorKind::kBadInput, "the document is empty", file);
    messages.push_back({"user", std::move(text), {}, std::move(label)});
  }
  return messages;
}

void set_anchor(Session& session, const std::string& anchor, const Progress& progress) {
  if (anchor.empty()) return session.remove_anchor();
  std::error_code ignored;
  const bool file = std::filesystem::is_regular_file(anchor, ignored);
  const std::string text = file ? whole_text(anchor) : anchor;
  const auto tokens = encode_prompt(session.model().tokenizer(), text);
  session.set_anchor(tokens, file ? std::filesystem::path(anchor).filename().string() : "", progress);
}

std::string label_text(const SpanLabel& label) {
  std::string text(span_kind_name(label.kind));
  if (!label.source.empty()) text += " " + label.source;
  if (label.clearance != 0) text += fmt::format(" (clearance {})", label.clearance);
  return text;
}

std::string page_table(const Session& session) {
  std::string out = fmt::format("{:>5} {:>13}  {:<16}  {}\n", "page", "positions", "hash", "span");
  int i = 0;
  for (const PageInfo& page : session.pages())
    out += fmt::format("{:>5} {:>13}  {}  {}{}\n", i++, fmt::format("{}..{}", page.begin, page.end - 1),
                       page.hash.substr(0, 16), label_text(page.label), page.pinned ? ", pinned" : "");
  return out;
}

nlohmann::ordered_json page_json(const Session& session) {
  auto list = nlohmann::ordered_json::array();
  for (const PageInfo& page : session.pages()) {
    list.push_back({{"begin", page.begin},
                    {"end", page.end},
                    {"kind", span_kind_name(page.label.kind)},
                    {"source", page.label.source},
                    {"clearance", page.label.clearance},
                    {"pinned", page.pinned},
                    {"hash", page.hash}});
  }
  return list;
}

}  // namespace fieldprint::cli
