// `fieldprint run`: one prompt, one answer.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>

#include "answer_printer.h"
#include "command.h"
#include "context.h"
#include "conversation.h"
#include "fieldprint/atomic_file.h"
#include "fieldprint/catalog.h"
#include "fieldprint/error.h"
#include "fieldprint/grammar_mask.h"
#include "files.h"
#include "grammar_flags.h"
#include "options.h"
#include "output.h"
#include "profile.h"
#include "remembering.h"
#include "sampling_flags.h"
#include "signals.h"

namespace fieldprint::cli {

namespace {

struct Run {
  ModelOptions model;
  SamplingOptions sampling;
  SamplingDefaults sampling_defaults;
  GrammarOptions grammar;
  ProfileOptions profile;
  std::string prompt, input, system, template_file, tools_file, session_file, influence = "none";
  Anchor anchor;
  MemoryChoice memory;
  std::vector<std::string> documents;
  bool raw = false, json = false, quiet = false, show_prompt = false, pages = false, content_specials = false;
  const CLI::Option* prompt_given = nullptr;

  bool reads_input_elsewhere() const;
  std::string full_prompt() const;
  int operator()() const;
  std::vector<LabelledTokens> raw_spans(const Tokenizer& tokenizer, const std::string& question) const;
  void print_json(const Session& session, const Generation& answer, const Message& message) const;
};

bool Run::reads_input_elsewhere() const {
  const auto is_input = [](const std::string& file) { return file == "-" || file.ends_with(":-"); };
  return std::any_of(documents.begin(), documents.end(), is_input) || is_input(template_file) || is_input(tools_file) ||
         is_input(anchor.file) || is_input(grammar.gbnf_file) || is_input(grammar.schema_file);
}

// The argument, what comes through a pipe, or both: `fieldprint run "Summarise this:" < letter.txt`.
std::string Run::full_prompt() const {
  const bool asked = prompt == "-" || input == "-" || prompt_given->count() == 0;
  std::string text = prompt == "-" ? "" : prompt;
  if (find_catalog_entry(text) != nullptr)
    note(fmt::format("'{0}' is taken for the prompt; `-m {0}` chooses the model", text));
  bool read = asked || (in_has_data() && !reads_input_elsewhere());
  if (read && !asked && in_belongs_to_script()) {
    read = false;
    if (!quiet && in_is_ready()) note("standard input is left to the calling script; a - behind the prompt reads it");
  }
  if (read) {
    std::string piped =
        read_input("`fieldprint run \"Why is the sky blue?\"` asks; `fieldprint chat` opens a conversation");
    if (piped.ends_with('\n')) piped.pop_back();
    if (piped.ends_with('\r')) piped.pop_back();
    if (!text.empty() && !piped.empty()) text += "\n\n";
    text += piped;
  }
  if (text.empty())
    throw Error(ErrorKind::kUsage, "the prompt is empty", {}, "`fieldprint run \"Why is the sky blue?\"`");
  if (repair_utf8(text)) note("the prompt is not valid UTF-8; broken bytes became U+FFFD");
  return text;
}

// Without a template: documents and question one after the other, each made tokens by itself.
std::vector<LabelledTokens> Run::raw_spans(const Tokenizer& tokenizer, const std::string& question) const {
  std::vector<LabelledTokens> spans;
  const auto add = [&](const SpanLabel& label, const std::string& text, bool specials) {
    spans.push_back({label, encode_content(tokenizer, text, spans.empty(), specials)});
  };
  for (const Message& document : read_documents(documents, model.session.clearance))
    add(*document.label, document.content, content_specials);
  add({.kind = SpanKind::kUser}, question, true);
  return spans;
}

void Run::print_json(const Session& session, const Generation& answer, const Message& message) const {
  const Model& loaded = session.model();
  const auto& stats = answer.stats;
  const auto rate = [](double count, double seconds) { return seconds > 0 ? count / seconds : 0; };
  nlohmann::ordered_json object = {
      {"text", answer.text},
      {"tokens", answer.tokens},
      {"finish_reason", finish_name(answer.reason)},
      {"stats",
       {{"prefill_tokens", stats.prefill_tokens},
        {"prefill_seconds", stats.prefill_seconds},
        {"prefill_tokens_per_second", rate(stats.prefill_tokens, stats.prefill_seconds)},
        {"decode_tokens", stats.decode_tokens},
        {"decode_seconds", stats.decode_seconds},
        {"drafted_tokens", stats.drafted_tokens},
        {"accepted_tokens", stats.accepted_tokens},
        {"decode_tokens_per_second", rate(stats.decode_tokens, stats.decode_seconds)},
        {"decode_ms_per_token", stats.decode_tokens > 0 ? stats.decode_seconds * 1e3 / stats.decode_tokens : 0},
        {"decode_gb_per_second", rate(static_cast<double>(stats.decode_bytes), stats.decode_seconds) / 1e9},
        {"logits_hash", stats.logits_hash}}},
      {"model", loaded.info().path},
      {"seed", sampling.seed},
      {"threads", loaded.threads()},
      {"isa", loaded.isa()},
  };
  if (pages) object["pages"] = page_json(session);
  if (influence == "json") object["influence"] = influence_json(session, answer);
  if (!message.reasoning.empty()) object["reasoning"] = message.reasoning;
  if (!message.refusals.empty()) object["tool_call_errors"] = message.refusals;
  // The arguments as they are, to the last digit.
  std::string calls;
  for (const auto& call : message.calls) {
    calls += fmt::format(R"({}{{"name":{},"arguments":{}}})", calls.empty() ? "" : ",", json_string(call.name),
                         call.arguments);
  }
  std::string text = object.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  if (!calls.empty()) text.insert(text.size() - 1, fmt::format(R"(,"tool_calls":[{}])", calls));
  write_json_text(text);
}

int Run::operator()() const {
  if (raw && !system.empty()) throw Error(ErrorKind::kUsage, "--system needs a chat template, and --raw takes none");
  if (raw && !template_file.empty()) throw Error(ErrorKind::kUsage, "--template and --raw exclude each other");
  if (raw && !tools_file.empty()) throw Error(ErrorKind::kUsage, "--tools needs a chat template, and --raw takes none");
  if (!input.empty() && input != "-") {
    throw Error(ErrorKind::kUsage, fmt::format("unexpected argument '{}'", input), {},
                is_model_name(prompt) ? fmt::format("`fieldprint run -m {} \"...\"` asks that model", prompt)
                                      : "put text of several words in quotes");
  }
  if (json && (influence == "html" || influence == "table"))
    throw Error(ErrorKind::kUsage, fmt::format("--json and --influence {} exclude each other", influence), {},
                "--influence json puts the shares into the object");
  std::error_code none;
  if (std::filesystem::exists(session_file, none) && !std::filesystem::is_regular_file(session_file, none))
    throw Error(ErrorKind::kIo, "is not a regular file", session_file);
  if (!session_file.empty()) require_writable(session_file);
  if (!profile.trace.empty()) require_writable(profile.trace);
  GrammarPtr wanted = grammar.make();
  const std::string path = model_path(model.model);  // before a prompt is waited for
  const SignalGuard guard;
  const std::string question = full_prompt();
  const auto loaded = load_model(path, model.load);
  sampling_defaults(*loaded, -1);
  check_sampling(sampling, loaded->tokenizer());

  ModelOptions with_draft = model;
  load_draft(with_draft);
  SessionOptions session_options = with_draft.session;
  session_options.profile = profile.create();
  session_options.influence = influence != "none" || !memory.directory.empty();
  Session session(loaded, session_options);
  ProgressBar bar(ProgressBar::Unit::kCount, quiet);
  std::optional<Remembering> remembering;
  if (!memory.directory.empty()) {
    if (raw) throw Error(ErrorKind::kUsage, "--memory needs a chat template, and --raw takes none");
    if (!anchor.file.empty() || !anchor.text.empty())
      throw Error(ErrorKind::kUsage, "--memory brings its own anchors, and --anchor excludes it");
    remembering.emplace(memory, session, content_specials);
    remembering->pin(bar.callback());
  }

  std::optional<PromptMaker> maker;
  std::vector<LabelledTokens> prompt_spans;
  if (raw) {
    prompt_spans = raw_spans(loaded->tokenizer(), question);
  } else {
    std::vector<Message> messages = read_documents(documents, model.session.clearance);
    if (!system.empty()) messages.insert(messages.begin(), {"system", system});
    if (remembering) {
      for (Message& recalled : remembering->recall(question)) messages.push_back(std::move(recalled));
    }
    messages.push_back({"user", question});
    prompt_spans = maker.emplace(*loaded, template_file, tools_file, content_specials).spans(messages);
  }
  if (show_prompt) {
    std::vector<TokenId> tokens;
    for (const auto& span : prompt_spans) tokens.insert(tokens.end(), span.tokens.begin(), span.tokens.end());
    write_err(fmt::format("{}\n[{} tokens: {}]\n", loaded->tokenizer().decode(tokens), tokens.size(),
                          fmt::join(tokens, " ")));
  }

  SamplingOptions options = sampling;
  options.special = options.special || (maker && maker->shows_control());
  if (wanted) {
    if (maker && maker->thinks()) wanted = Grammar::after_thought(wanted, maker->opens_thought());
    options.mask = grammar_mask(wanted, std::make_shared<const GrammarVocabulary>(loaded->tokenizer()));
  }
  if (!anchor.file.empty() || !anchor.text.empty()) set_anchor(session, anchor, content_specials, bar.callback());
  if (!session_file.empty() && std::filesystem::exists(session_file)) session.load(session_file);
  const bool as_text = !json && influence != "json" && influence != "html";
  AnswerPrinter printer;
  const auto answer = session.generate(
      prompt_spans, options,
      [&](std::string_view piece) {
        bar.wipe();
        if (as_text) printer.write(piece);
      },
      interrupt_flag(), bar.callback());
  bar.wipe();
  if (answer.reason == FinishReason::kCancelled && answer.text.empty()) throw Interrupted{};
  if (!session_file.empty()) session.save(session_file);

  const Message message =
      maker ? maker->answer(answer.text, options.special ? std::span(answer.tokens) : std::span<TokenId>())
            : Message{"assistant", answer.text};
  if (influence == "html") write_data(influence_html(session, answer));
  else if (!as_text) print_json(session, answer, message);
  else if (!answer.text.ends_with('\n')) write_out("\n");
  if (as_text && influence == "table") write_out("\n" + influence_table(session, answer));
  if (as_text && pages) write_out("\n" + page_table(session));
  flush_out();
  if (answer.reason == FinishReason::kContext)
    note(fmt::format("the answer stops here: the context of {} tokens is full", session.context()));
  if (answer.reason == FinishReason::kCancelled) note("stopped");
  if (answer.reason == FinishReason::kLoop) note("the answer repeats itself; stopped (--no-loop-check lets it go on)");
  if (answer.reason == FinishReason::kNoneAllowed) {
    note(wanted ? "the answer stops here: the grammar and --logit-bias leave no token"
                : "the answer stops here: --logit-bias bans every token");
  }
  if (wanted && (answer.reason == FinishReason::kLength || answer.reason == FinishReason::kContext))
    note("the answer is cut off before the grammar's end");
  for (const std::string& why : message.refusals) note("a tool call could not be read: " + why);
  if (remembering && as_text && !quiet) {
    const std::string used = remembering->used(answer);
    write_err(used.empty() ? "memory: nothing was recalled\n" : "memory: what the answer looked at\n" + used);
  }
  if (!quiet && as_text) {
    std::string line = run_line(answer.stats);
    if (sampling.temperature > 0) line += fmt::format(" | seed {}", sampling.seed);
    tell_run_line(line);
  }
  if (profile.table) show_profile(*session_options.profile, measure_ceilings(*loaded), "profile");
  if (!profile.trace.empty()) write_trace(*session_options.profile, profile.trace);
  return answer.reason == FinishReason::kCancelled ? interrupt_exit_code() : kDone;
}

}  // namespace

Action add_run(CLI::App& app) {
  auto run = std::make_shared<Run>();
  run->prompt_given = add_text(app, "PROMPT", run->prompt, "TEXT",
                               "The prompt; without it, or for -, standard input. What comes through a pipe is added "
                               "to the prompt");
  add_text(app, "INPUT", run->input, "TEXT", "- adds standard input to the prompt in a script too");
  add_model(app, run->model.model);
  add_context(app, run->model.session);
  add_experts(app, run->model.load);
  add_adapters(app, run->model.load);
  add_text(app, "-s,--system", run->system, "TEXT", "A system message before the prompt")->group("Prompt");
  add_flag(app, "--raw", run->raw, "Continue the prompt as it is, without the chat template")->group("Prompt");
  add_text(app, "--template", run->template_file, "FILE", "A Jinja chat template in place of the model's")
      ->group("Prompt");
  add_flag(app, "--show-prompt", run->show_prompt, "Show on stderr what the model gets: text and token ids")
      ->group("Prompt");
  add_text(app, "--tools", run->tools_file, "FILE", "Functions that the model may call, a list in JSON")
      ->group("Prompt");
  add_content_specials(app, run->content_specials);
  add_texts(app, "--document", run->documents, "FILE",
            "A text that comes before the prompt, labelled as retrieved; N:FILE gives it clearance N (repeatable)")
      ->group("Prompt");
  add_clearance(app, run->model.session);
  add_anchor(app, run->anchor);
  add_memory_choice(app, run->memory);
  add_text(app, "--session", run->session_file, "FILE",
           "Keep keys and values in FILE: where the next prompt begins like this one, that part is not computed again")
      ->group("Prompt");
  run->sampling_defaults = add_sampling(app, run->sampling);
  add_grammar(app, run->grammar);
  add_profile(app, run->profile);
  add_flag(app, "--json", run->json, "One JSON object: text, tokens, finish_reason, stats")->group("Output");
  add_choice(app, "--influence", run->influence, {"none", "table", "json", "html"},
             "Where each token of the answer looked: a table after it, JSON, or a web page in its place")
      ->group("Output");
  add_flag(app, "--pages", run->pages, "Print the page table after the answer: the owner and the hash of each page")
      ->group("Output");
  add_quiet(app, run->quiet);
  add_threads(app, run->model.load);
  add_speculation(app, run->model);
  add_executor(app, run->model.session);
  app.footer(
      "  fieldprint run \"Why is the sky blue?\"\n"
      "  git diff | fieldprint run --temp 0 \"Write a commit message for this:\"\n"
      "  fieldprint run --raw -n 32 \"The capital of France is\"");
  return [run] { return (*run)(); };
}

}  // namespace fieldprint::cli
