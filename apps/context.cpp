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
              "Leave out all context above clearance N, as if it did not exist")
      ->default_str("")
      ->group("Prompt");
}

void add_anchor(CLI::App& app, Anchor& anchor) {
  add_text(app, "--anchor", anchor.file, "FILE", "A text that comes first in everything, computed once and kept")
      ->group("Prompt");
  add_text(app, "--anchor-text", anchor.text, "TEXT", "The same, the text itself")->group("Prompt");
}

void add_content_specials(CLI::App& app, bool& content_specials) {
  add_flag(app, "--content-specials", content_specials,
           "Control tokens named in messages, documents and tool results count: whoever wrote those can then speak as "
           "the system")
      ->group("Prompt");
}

std::vector<TokenId> encode_content(const Tokenizer& tokenizer, const std::string& text, bool first,
                                    bool content_specials) {
  const TextRange all{0, text.size()};
  const std::span<const TextRange> plain(&all, content_specials ? 0 : 1);
  if (first) return encode_prompt(tokenizer, text, plain);
  return tokenizer.encode(text, {.add_special = false, .parse_special = true, .plain = plain});
}

static std::string whole_text(const std::string& file) {
  std::string text = read_file(file);
  if (repair_utf8(text)) note(fmt::format("{} is not valid UTF-8; broken bytes became U+FFFD", file));
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
    if (file.empty()) {
      throw Error(ErrorKind::kUsage, fmt::format("--document {} names no file", document.empty() ? "\"\"" : document),
                  {}, "write --document FILE, or --document N:FILE for clearance N");
    }
    if (label.clearance > clearance) continue;
    label.source = file == "-" ? "standard input" : std::filesystem::path(file).filename().string();
    std::string text = whole_text(file);
    if (text.empty()) throw Error(ErrorKind::kBadInput, "the document is empty", file);
    messages.push_back({"user", std::move(text), {}, std::move(label)});
  }
  return messages;
}

void set_anchor(Session& session, const Anchor& anchor, bool content_specials, const Progress& progress) {
  if (!anchor.file.empty() && !anchor.text.empty())
    throw Error(ErrorKind::kUsage, "--anchor and --anchor-text exclude each other");
  if (anchor.file.empty() && anchor.text.empty()) return session.remove_anchor();
  std::string text = anchor.text;
  try {
    if (!anchor.file.empty()) text = whole_text(anchor.file);
  } catch (const Error& error) {
    throw Error(error.kind(), error.what(), {}, "--anchor takes a file, --anchor-text the text itself");
  }
  if (text.empty()) throw Error(ErrorKind::kBadInput, "the anchor is empty", anchor.file);
  const auto tokens = encode_content(session.model().tokenizer(), text, true, content_specials);
  session.set_anchor(tokens, anchor.file == "-" ? "" : std::filesystem::path(anchor.file).filename().string(),
                     progress);
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
                       page.hash.substr(0, 16), printable_line(label_text(page.label)), page.pinned ? ", pinned" : "");
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
