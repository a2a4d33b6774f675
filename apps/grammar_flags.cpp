#include "grammar_flags.h"

#include "fieldprint/error.h"
#include "files.h"
#include "options.h"

namespace fieldprint::cli {

bool GrammarOptions::any() const {
  return !gbnf.empty() || !gbnf_file.empty() || !schema.empty() || !schema_file.empty() || !regex.empty();
}

GrammarPtr GrammarOptions::make() const {
  int given = 0;
  for (const auto* value : {&gbnf, &gbnf_file, &schema, &schema_file, &regex}) given += value->empty() ? 0 : 1;
  if (given > 1) throw Error(ErrorKind::kUsage, "--grammar, --json-schema and --regex exclude each other");
  if (!gbnf.empty()) return Grammar::from_gbnf(gbnf);
  if (!gbnf_file.empty()) return Grammar::from_gbnf(read_file(gbnf_file));
  if (!schema.empty()) return Grammar::from_json_schema(schema);
  if (!schema_file.empty()) return Grammar::from_json_schema(read_file(schema_file));
  if (!regex.empty()) return Grammar::from_regex(regex);
  return nullptr;
}

void add_grammar(CLI::App& app, GrammarOptions& options) {
  const auto add = [&](const char* names, std::string& target, const char* type, const char* about) {
    add_text(app, names, target, type, about)->group("Grammar (docs/grammar.md)");
  };
  add("--grammar", options.gbnf, "TEXT", "The answer is a text of this grammar, in llama.cpp's GBNF");
  add("--grammar-file", options.gbnf_file, "FILE", "The same from a file");
  add("-j,--json-schema", options.schema, "TEXT", "The answer is JSON that is valid under this schema; {} = any JSON");
  add("--json-schema-file", options.schema_file, "FILE", "The same from a file");
  add("--regex", options.regex, "TEXT", "The answer matches this regular expression as a whole");
}

}  // namespace fieldprint::cli
