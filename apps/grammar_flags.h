// --grammar, --json-schema and --regex: docs/grammar.md.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "fieldprint/grammar.h"

namespace fieldprint::cli {

struct GrammarOptions {
  std::string gbnf, gbnf_file, schema, schema_file, regex;

  bool any() const;
  // Throws Error kUsage where more than one is given, and as Grammar does. nullptr where none is.
  GrammarPtr make() const;
};

void add_grammar(CLI::App& app, GrammarOptions& options);

}  // namespace fieldprint::cli
