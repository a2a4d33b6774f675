// `fieldprint distil card`: the page that says what a distilled model was made of and what became of it.
#include "fieldprint/distil_card.h"

#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "command.h"
#include "distil_actions.h"
#include "fieldprint/error.h"
#include "files.h"
#include "memory/access.h"
#include "options.h"
#include "output.h"

namespace fieldprint::cli {

namespace {

struct WriteCard {
  CardOptions options;
  std::string model_before, model_after, notes_file, licence_file, memory, check, vkey;
  bool json = false;

  int operator()() const;
};

DistilTeacher teacher_of(const DistilTeacher& options, const std::string& model) {
  DistilTeacher teacher = options;
  const bool url = model.starts_with("http://") || model.starts_with("https://");
  if (!model.empty()) teacher.model = url ? model : model_path(model);
  return teacher;
}

// What a ledger is told: hashes and names, nothing that a model said. The channel is "tool": this program's output,
// which people may endorse once they have looked at it.
std::string enter(const std::string& memory, const CardOptions& options, const Card& card) {
  MemoryFlags flags;
  flags.directory = memory;
  std::string text = fmt::format("Distillation card \"{}\": SHA-256 {}", options.title, card.sha256);
  if (!card.data_sha256.empty()) text += fmt::format("; rows SHA-256 {}", card.data_sha256);
  if (!card.teacher.empty()) text += fmt::format("; teacher {}", card.teacher);
  if (!card.vkey.empty()) text += fmt::format("; signed by {}", card.vkey);
  const Json record = Access(flags).call("add", {{"text", text}, {"channel", "tool"}, {"title", "Distillation card"}});
  return record.value("id", "");
}

int WriteCard::operator()() const {
  if (!check.empty()) {
    need(vkey, "whose signature?", "--vkey, as `fieldprint memory keygen` shows it");
    check_card(check, vkey);
    write_out("the card is as it was signed\n");
    return kDone;
  }
  CardOptions wanted = options;
  wanted.program = "fieldprint " FIELDPRINT_VERSION;
  if (!notes_file.empty()) wanted.notes = read_file(notes_file);
  if (!licence_file.empty()) wanted.licence = read_file(licence_file);
  wanted.model_before = teacher_of(options.model_before, model_before);
  wanted.model_after = teacher_of(options.model_after, model_after);
  if (model_after.empty() && !options.model_after.load.adapters.empty())
    throw Error(ErrorKind::kUsage, "--ask-after-lora does nothing without --ask-after", {}, "--ask-after MODEL");
  if (model_before.empty() && model_after.empty() && !options.prompts.files.empty())
    throw Error(ErrorKind::kUsage, "nobody is asked these --prompts", {}, "--ask-before or --ask-after MODEL");
  const Card card = write_card(wanted);
  const std::string record = memory.empty() ? "" : enter(memory, wanted, card);
  if (json) {
    Json object = {{"card", card.path}, {"sha256", card.sha256}, {"files", card.files}};
    if (!card.data_sha256.empty()) object["data_sha256"] = card.data_sha256;
    if (!card.vkey.empty()) object["vkey"] = card.vkey;
    if (!record.empty()) object["record"] = record;
    write_json(object);
    return kDone;
  }
  for (const std::string& file : card.files) write_out(printable_line(file) + "\n");
  write_out(fmt::format("SHA-256 {}\n", card.sha256));
  if (!card.vkey.empty()) write_out(fmt::format("signed by {}\n", card.vkey));
  if (!record.empty()) write_out(fmt::format("record {}\n", record));
  return kDone;
}

}  // namespace

Action add_distil_card(CLI::App& app) {
  auto card = std::make_shared<WriteCard>();
  CardOptions& o = card->options;
  add_text(app, "-o,--out", o.out, "FILE", "The card, such as card.md; its curve and signature go beside it");
  add_text(app, "--title", o.title, "TEXT", "The student's name");

  const char* made = "What it was made of";
  add_text(app, "--data", o.data, "FILE", "The rows that were learned from: kept.jsonl")->group(made);
  add_text(app, "--filter-report", o.report, "FILE", "report.json of `distil filter`")->group(made);
  add_text(app, "--training", o.training, "DIR", "The folder of `train --out`")->group(made);
  add_text(app, "--model", o.model, "FILE", "The student's file, for its hash")->group(made);
  add_text(app, "--licence", o.licence, "TEXT", "Under which terms")->group(made);
  add_text(app, "--licence-file", card->licence_file, "FILE", "The same from a file")->group(made);
  add_text(app, "--notes", card->notes_file, "FILE", "Paragraphs for its beginning")->group(made);
  add_texts(app, "--redo", o.commands, "COMMAND", "A command that makes it again (repeatable)")->group(made);

  const char* became = "Before and after";
  add_texts(app, "--before", o.before, "FILE",
            "Results of `eval --out` of the base: results_*.json or its folder (repeatable)")
      ->group(became);
  add_texts(app, "--after", o.after, "FILE", "The same of the student, in the same order (repeatable)")->group(became);
  add_text(app, "--answers-before", o.answers_before, "FILE", "The base's answers: rows of `distil run`")
      ->group(became);
  add_text(app, "--answers-after", o.answers_after, "FILE", "The student's")->group(became);
  add_text(app, "--ask-before", card->model_before, "MODEL", "Ask the base now: a name, a file or a URL")
      ->group(became);
  add_text(app, "--ask-after", card->model_after, "MODEL", "Ask the student now")->group(became);
  add_list(
      app, "--ask-after-lora", "FILE", "An adapter of the student, FILE or FILE=SCALE (repeatable)",
      [&o] { o.model_after.load.adapters.clear(); },
      [&o](const std::string& text) { o.model_after.load.adapters.push_back(parse_adapter(text)); })
      ->group(became);
  add_texts(app, "--prompts", o.prompts.files, "FILE", "What to ask; else the first prompts of --data")->group(became);
  add_text(app, "--ask-sampling", o.sampling, "JSON", "Fields of these requests")->group(became);
  add_integer(app, "--samples", o.samples, 0, "Prompts to show")->group(became);

  const char* proof = "Proof";
  add_text(app, "--key", o.key_file, "FILE", "Sign with this key of `fieldprint memory keygen`")->group(proof);
  add_text(app, "--memory", card->memory, "DIR", "Enter the card's hash in this memory's ledger")->group(proof);
  add_text(app, "--check", card->check, "FILE", "Check a card against its signature; writes nothing")->group(proof);
  add_text(app, "--vkey", card->vkey, "VKEY", "Who has to have signed it")->group(proof);
  add_flag(app, "--json", card->json, "What was written as one JSON object")->group("Output");
  app.footer(
      "  fieldprint distil card --title student --data filtered/kept.jsonl --filter-report filtered/report.json "
      "--training run --before results/base --after results/student --out card.md\n"
      "  fieldprint distil card --check card.md --vkey example+3d2c...");
  return [card] { return (*card)(); };
}

}  // namespace fieldprint::cli
