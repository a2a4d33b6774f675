// Labelled context on the command line: documents, anchors, clearance; the page table, and where an answer's tokens
// looked.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "fieldprint/chat.h"
#include "fieldprint/session.h"
#include "options.h"

namespace fieldprint::cli {

// A text that comes first in everything: a file's, or one of its own.
struct Anchor {
  std::string file, text;  // both "" = none
};

void add_clearance(CLI::App& app, SessionOptions& options);  // --clearance
void add_anchor(CLI::App& app, Anchor& anchor);              // --anchor, --anchor-text

// --content-specials
void add_content_specials(CLI::App& app, bool& content_specials);

// Ids of a text that comes from outside, the first of a prompt or a later one: what looks like a control token is
// ordinary text, unless `content_specials`.
std::vector<TokenId> encode_content(const Tokenizer& tokenizer, const std::string& text, bool first,
                                    bool content_specials);

// FILE, or N:FILE for one of clearance N, as messages of their own; those above `clearance` are not even opened. "-" is
// standard input.
std::vector<Message> read_documents(const std::vector<std::string>& documents, int clearance);

// Throws Error kUsage where both are given, kNotFound, kIo, kBadInput where the file is empty.
void set_anchor(Session& session, const Anchor& anchor, bool content_specials, const Progress& progress);

std::string label_text(const SpanLabel& label);  // "retrieved notes.txt (clearance 2)"

std::string page_table(const Session& session);
nlohmann::ordered_json page_json(const Session& session);

// For each token of the answer, what share of its attention each span had.
std::string influence_table(const Session& session, const Generation& answer);
nlohmann::ordered_json influence_json(const Session& session, const Generation& answer);
std::string influence_html(const Session& session, const Generation& answer);  // a page that needs nothing else

}  // namespace fieldprint::cli
