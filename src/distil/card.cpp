#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <optional>

#include "base/json.h"
#include "base/mapped_file.h"
#include "base/sha256.h"
#include "distil/card_parts.h"
#include "distil/filter.h"
#include "distil/markdown.h"
#include "distil/prompts.h"
#include "distil/teacher.h"
#include "fieldprint/atomic_file.h"
#include "fieldprint/distil_card.h"
#include "fieldprint/error.h"
#include "ledger/note.h"
#include "memory/setup.h"

namespace fieldprint {
namespace distil {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

// The first line keeps it apart from all else that these keys sign.
constexpr std::string_view kNoteHead = "fieldprint/distil-card/v1";

std::string note_text(const std::string& sha256) { return fmt::format("{}\nsha256 {}\n", kNoteHead, sha256); }
std::string sha_of(std::string_view text) { return sha256_hex(std::as_bytes(std::span(text))); }

void save(const std::string& path, std::string_view text) {
  AtomicFile file(path);
  file.write(text);
  file.commit();
}

std::vector<TeacherRow> read_rows(const std::string& path, size_t most) {
  const std::string text = read_whole(path);
  std::vector<TeacherRow> rows;
  int64_t number = 0;
  for (size_t at = 0; at < text.size() && rows.size() < most;) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view line = std::string_view(text).substr(at, end - at);
    at = end + 1, ++number;
    if (line.empty()) continue;
    TeacherRow row = read_teacher_row(line, fmt::format("{}:{}", path, number));
    if (!row.failed()) rows.push_back(std::move(row));
  }
  return rows;
}

struct Said {
  std::string reasoning, content;
};
using Answers = std::map<std::string, Said>;  // by the prompt's messages

Answers answers_of_file(const std::string& path) {
  Answers answers;
  for (TeacherRow& row : read_rows(path, SIZE_MAX))
    answers.try_emplace(row.messages, Said{std::move(row.reasoning), std::move(row.content)});
  return answers;
}

Answers answers_of_model(const DistilTeacher& model, const std::vector<Prompt>& prompts, const std::string& sampling) {
  const auto teacher = make_teacher(model);
  Answers answers;
  for (const Prompt& prompt : prompts) {
    TeacherRequest request;
    request.messages = prompt.messages, request.tools = prompt.tools, request.sampling = sampling;
    TeacherAnswer answer = teacher->ask(request);
    if (!answer.failure.empty())
      throw Error(ErrorKind::kIo, fmt::format("no answer for the card ({}): {}", answer.failure, answer.detail),
                  model.model);
    answers.try_emplace(prompt.messages, Said{std::move(answer.reasoning), std::move(answer.content)});
  }
  return answers;
}

void add_answer(std::string& text, const char* who, const Said& said) {
  text += fmt::format("{}:\n\n", who);
  if (!said.reasoning.empty()) text += "thought:\n\n" + code_block(beginning(said.reasoning, 1000)) + "\n";
  text += code_block(beginning(said.content, 2000)) + "\n";
}

// Prompts with what teacher, base and student say to them.
std::string answers_part(const CardOptions& o) {
  const auto most = static_cast<size_t>(std::max(o.samples, 0));
  std::optional<Answers> before, after;
  if (!o.model_before.model.empty() || !o.model_after.model.empty()) {
    std::vector<Prompt> prompts;
    if (!o.prompts.files.empty() || !o.prompts.each.empty()) prompts = read_prompts(o.prompts);
    else if (!o.data.empty())
      for (const TeacherRow& row : read_rows(o.data, most)) prompts.push_back({row.messages, row.tools, "", "", ""});
    else throw Error(ErrorKind::kUsage, "which prompts are the models to answer?", {}, "--prompts FILE, or --data");
    if (prompts.size() > most) prompts.resize(most);
    if (!o.model_before.model.empty()) before = answers_of_model(o.model_before, prompts, o.sampling);
    if (!o.model_after.model.empty()) after = answers_of_model(o.model_after, prompts, o.sampling);
  }
  if (!before && !o.answers_before.empty()) before = answers_of_file(o.answers_before);
  if (!after && !o.answers_after.empty()) after = answers_of_file(o.answers_after);
  const Answers taught = o.data.empty() ? Answers() : answers_of_file(o.data);
  std::string text;
  size_t shown = 0;
  for (const auto& [messages, said] : after ? *after : before ? *before : taught) {
    if (shown == most) break;
    if (after && before && !before->contains(messages)) continue;
    text += fmt::format("### Prompt {}\n\n", ++shown) + code_block(beginning(conversation_text(messages), 1000)) + "\n";
    if (const auto found = taught.find(messages); found != taught.end()) add_answer(text, "Teacher", found->second);
    if (before) add_answer(text, "Before", before->at(messages));
    if (after) add_answer(text, "After", said);
  }
  return text;
}

std::string paragraphs(std::string_view text) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find("\n\n", at), text.size());
    const std::string paragraph = plain_text(text.substr(at, end - at));
    if (paragraph.find_first_not_of(' ') != std::string::npos) out += paragraph + "\n\n";
    at = end + 2;
  }
  return out;
}

// No file that is written may be another, or one that is read.
void require_own(const CardOptions& o, const std::string& svg_path) {
  const auto refuse = [](const std::string& file, const char* what) {
    throw Error(ErrorKind::kUsage, fmt::format("the card would be written over {}", what), file, "--out card.md");
  };
  if (!o.training.empty() && svg_path == o.out) refuse(o.out, "its own curve");
  std::vector<std::string> written = {o.out, o.out + ".note"};
  if (!o.training.empty()) written.push_back(svg_path);
  const std::string log = o.training.empty() ? "" : (fs::path(o.training) / "log.csv").string();
  std::vector<std::string> inputs = {o.data, o.report, log, o.model, o.answers_before, o.answers_after, o.key_file};
  inputs.insert(inputs.end(), o.before.begin(), o.before.end());
  inputs.insert(inputs.end(), o.after.begin(), o.after.end());
  for (const std::string& in : inputs)
    for (const std::string& out : written) {
      std::error_code error;
      if (!in.empty() && fs::equivalent(in, out, error)) refuse(out, "a file that it is made of");
    }
}

}  // namespace

std::string read_whole(const std::string& path) {
  const MappedFile file(path);
  return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
}

std::string file_sha256(const std::string& path) { return sha256_hex(MappedFile(path).bytes()); }

}  // namespace distil

Card write_card(const CardOptions& o) {
  using namespace distil;
  namespace fs = std::filesystem;
  if (o.out.empty()) throw Error(ErrorKind::kUsage, "where is the card to be written?", {}, "--out card.md");
  const std::string svg_path = fs::path(o.out).replace_extension(".svg").string();
  require_own(o, svg_path);
  require_writable(o.out);
  // What can be wrong is found before models answer for minutes.
  std::optional<ledger::SignerKey> key;
  if (!o.key_file.empty()) {
    key = ledger::SignerKey::parse(memory::read_secret(o.key_file));
    if (key->verifier().type() != ledger::KeyType::kEd25519)
      throw Error(ErrorKind::kUsage, "the key of a witness signs checkpoints alone", o.key_file,
                  "`fieldprint memory keygen` makes a key for this");
  }
  Card card;
  card.path = o.out;
  std::string text = fmt::format("# {}\n\n", o.title.empty() ? "A distilled model" : plain_text(o.title));
  text += paragraphs(o.notes);
  std::string data;
  if (!o.report.empty()) {
    const FilterPart part = filter_part(o.report);
    data += part.markdown;
    card.teacher = part.teacher;
    card.data_sha256 = part.kept_sha256;
  }
  if (!o.data.empty()) {
    const std::string hash = file_sha256(o.data);
    if (!card.data_sha256.empty() && hash != card.data_sha256)
      throw Error(ErrorKind::kBadInput, fmt::format("these are not the rows of the report: their SHA-256 is {}", hash),
                  o.data, "the report is of the folder that `distil filter` wrote last");
    card.data_sha256 = hash;
    if (card.teacher.empty())
      for (const TeacherRow& row : read_rows(o.data, 1)) {
        card.teacher = row.teacher.name + " " + row.teacher.model_sha256;
        data += fmt::format("- teacher {}: model {}, chat template {}\n", code_span(row.teacher.name),
                            code_span(row.teacher.model_sha256), code_span(row.teacher.template_sha256));
      }
  }
  if (!card.data_sha256.empty()) data += fmt::format("\nLearned from: rows with SHA-256 `{}`.\n", card.data_sha256);
  if (!data.empty()) text += "## Data\n\n" + data + "\n";

  std::string svg;
  if (!o.training.empty()) {
    TrainingPart part = training_part(o.training);
    svg = std::move(part.svg);
    const std::string name = fs::path(svg_path).filename().string();
    text += "## Training\n\n" + part.markdown;
    // A name in <> may hold spaces; the signs that end it are escaped by plain_text().
    text += fmt::format("\n![The training's loss over its steps](<{}>)\n\nThe curve's SHA-256: `{}`\n\n",
                        plain_text(name), sha_of(svg));
  }
  if (!o.model.empty())
    text += fmt::format("## Model\n\n- {}: SHA-256 `{}`\n\n", code_span(fs::path(o.model).filename().string()),
                        file_sha256(o.model));
  const size_t results = std::max(o.before.size(), o.after.size());
  if (results > 0) text += "## Before and after\n\n";
  for (size_t i = 0; i < results; ++i) {
    const auto of = [&](const std::vector<std::string>& all) { return i < all.size() ? all[i] : ""; };
    text += results_part(of(o.before), of(o.after)) + "\n";
  }
  if (o.samples > 0) {
    const std::string answers = answers_part(o);
    if (!answers.empty()) text += "## Sample answers\n\n" + answers;
  }
  if (!o.licence.empty()) text += "## Licence\n\n" + paragraphs(o.licence);
  text += "## How to make it again\n\n";
  if (!o.commands.empty()) {
    std::string all;
    for (const std::string& command : o.commands) all += command + "\n";
    text += code_block(all) + "\n";
  }
  text += fmt::format(
      "Made with {}. The same rows, options and seed give the same bits; hashes above say which they "
      "were.\n",
      plain_text(o.program.empty() ? "fieldprint" : o.program));

  if (!svg.empty()) save(svg_path, svg), card.files.push_back(svg_path);
  save(o.out, text);
  card.files.push_back(o.out);
  card.sha256 = sha_of(text);
  const std::string note_path = o.out + ".note";
  if (key) {
    ledger::Note note;
    note.text = note_text(card.sha256);
    note.signatures.push_back(key->sign(note.text));
    save(note_path, ledger::format_note(note));
    card.note_path = note_path, card.vkey = key->verifier().vkey();
    card.files.push_back(note_path);
  } else {
    std::error_code error;
    fs::remove(note_path, error);  // of a card that was here before
  }
  return card;
}

void check_card(const std::string& path, const std::string& vkey) {
  using namespace distil;
  const std::string sha256 = file_sha256(path);
  const ledger::Note note = ledger::parse_note(read_whole(path + ".note"));
  if (note.text != note_text(sha256))
    throw Error(ErrorKind::kBadInput, "the note is of another card: this one was changed", path);
  const std::vector<ledger::VerifierKey> keys = {ledger::VerifierKey::parse(vkey)};
  ledger::verify_note(note, keys);
}

}  // namespace fieldprint
