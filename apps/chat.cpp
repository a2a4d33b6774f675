// `fieldprint chat`: a conversation. What was said stays in the session's cache, so a turn computes only what is new.
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
#include "fieldprint/error.h"
#include "files.h"
#include "line_editor.h"
#include "options.h"
#include "output.h"
#include "remembering.h"
#include "sampling_flags.h"
#include "settings.h"
#include "signals.h"
#include "suggest.h"

namespace fieldprint::cli {

namespace {

constexpr int kUnwatchedTokens = 1000;  // of an answer where nobody can press Ctrl-C

struct ChatOptions {
  ModelOptions model;
  SamplingOptions sampling;
  SamplingDefaults sampling_defaults;
  std::string system, template_file, tools_file;
  Anchor anchor;
  MemoryChoice memory;
  bool quiet = false, show_prompt = false, content_specials = false;
};

class Chat {
 public:
  Chat(const ChatOptions& options, std::shared_ptr<const Model> model, LineEditor& editor)
      : options_(options),
        editor_(editor),
        model_(std::move(model)),
        maker_(*model_, options.template_file, options.tools_file, options.content_specials),
        session_(model_, session_options(options)) {
    add_sampling(settings_, options_.sampling);
    check_sampling(options_.sampling, model_->tokenizer());
    if (!options.system.empty()) set_system(options.system);
    const bool anchored = !options.anchor.file.empty() || !options.anchor.text.empty();
    if (!options.memory.directory.empty()) {
      if (anchored) throw Error(ErrorKind::kUsage, "--memory brings its own anchors, and --anchor excludes it");
      remembering_.emplace(options.memory, session_, options.content_specials);
    }
    if (anchored) pin(options.anchor);
  }

  void loop();

 private:
  static SessionOptions session_options(const ChatOptions& options) {
    SessionOptions session = options.model.session;
    session.influence = session.influence || !options.memory.directory.empty();
    return session;
  }
  struct Command {
    const char* name;
    const char* argument;
    const char* about;
    void (Chat::*act)(const std::string&);
  };
  static const std::vector<Command>& commands();
  friend std::vector<std::string> command_words();

  bool read_entry(std::string& entry);  // false at the end
  void take(const std::string& entry);
  void command(const std::string& entry);
  void say(const std::string& text, const char* role = "user");
  bool answer();

  void help(const std::string&);
  void set(const std::string& argument);
  void system(const std::string& argument);
  void anchor(const std::string& argument) { pin({.file = argument, .text = {}}); }
  void anchor_text(const std::string& argument) { pin({.file = {}, .text = argument}); }
  void pin(const Anchor& anchor);
  void pages(const std::string&) { tell(page_table(session_)); }
  void regenerate(const std::string&);
  void undo(const std::string&);
  void clear(const std::string&);
  void tool(const std::string& argument);
  void memory(const std::string& argument);
  void save(const std::string& argument);
  void load(const std::string& argument);
  void quit(const std::string&) { done_ = true; }

  void set_system(const std::string& text);
  void forget_fallen();
  void tell(const std::string& text) const { write_err(text + "\n"); }
  void remark(const std::string& text) const { write_err(text + "\n", Style::kDim); }

  ChatOptions options_;
  LineEditor& editor_;
  std::shared_ptr<const Model> model_;
  PromptMaker maker_;
  Session session_;
  std::optional<Remembering> remembering_;  // behind the session
  CLI::App settings_;                       // the sampling flags again, for /set
  std::vector<Message> messages_;
  std::string saved_as_;
  uint64_t regenerated_ = 0;
  bool done_ = false;
};

const std::vector<Chat::Command>& Chat::commands() {
  static const std::vector<Command> all = {
      {"/help", "", "this list", &Chat::help},
      {"/set", "[NAME VALUE]", "change a setting, as in /set temp 0.2; alone: show all", &Chat::set},
      {"/system", "[TEXT]", "set the system message; alone: show it; - removes it", &Chat::system},
      {"/anchor", "[FILE]", "a text that comes first, computed once; alone: remove it", &Chat::anchor},
      {"/anchor-text", "TEXT", "the same, the text itself", &Chat::anchor_text},
      {"/pages", "", "the page table: the owner and the hash of each page", &Chat::pages},
      {"/regen", "", "answer the last message again, with the next seed", &Chat::regenerate},
      {"/undo", "", "forget the last message and its answer", &Chat::undo},
      {"/clear", "", "forget all but the system message", &Chat::clear},
      {"/tool", "RESULT", "the result of a tool that the model called", &Chat::tool},
      {"/memory", "[TEXT]", "remember this; alone: what was recalled so far, and what it is", &Chat::memory},
      {"/save", "FILE", "write the conversation as JSON", &Chat::save},
      {"/load", "FILE", "continue a saved conversation", &Chat::load},
      {"/quit", "", "leave, as Ctrl-D does", &Chat::quit},
  };
  return all;
}

std::vector<std::string> command_words() {
  std::vector<std::string> words;
  for (const auto& command : Chat::commands()) words.emplace_back(command.name);
  return words;
}

void Chat::loop() {
  if (editor_.on_terminal())
    tell_run_line(fmt::format("{} | context {} | {} threads | {} | /help | Ctrl-D leaves",
                              std::filesystem::path(model_->info().path).stem().string(), session_.context(),
                              model_->threads(), model_->isa()));
  std::string entry;
  while (!done_ && read_entry(entry)) {
    try {
      take(entry);
    } catch (const Error& error) {
      if (!editor_.on_terminal()) throw;  // a script should not go on from a state that it did not ask for
      tell_error(error);
    }
  }
}

// A line, or several: after a backslash at the end, between lines of """, or pasted.
bool Chat::read_entry(std::string& entry) {
  entry.clear();
  std::string line;
  bool quoted = false, more = false;
  for (;;) {
    const auto result = editor_.read(quoted || more ? "| " : "> ", line);
    if (result == LineEditor::Result::kInterrupt) {
      if (!editor_.on_terminal() || interrupt_exit_code() != 130) throw Interrupted{};
      clear_interrupt();
      if (!quoted && !more) remark("(Ctrl-D or /quit leaves)");
      entry.clear();
      quoted = more = false;
      continue;
    }
    if (result == LineEditor::Result::kEnd) {
      if (quoted && !editor_.on_terminal()) throw Error(ErrorKind::kUsage, "the input ends inside \"\"\"");
      return !quoted && more;  // a last line that ended in a backslash still counts
    }
    if (line.ends_with('\r')) line.pop_back();
    if (!quoted && !more && line.starts_with("\"\"\"")) {
      quoted = true;
      line.erase(0, 3);
      if (line.empty()) continue;
    }
    if (quoted && line.ends_with("\"\"\"")) {
      line.resize(line.size() - 3);
      if (line.ends_with('\n')) line.pop_back();
      entry += line;
      break;
    }
    if (quoted) {
      entry += line + "\n";
      continue;
    }
    more = line.ends_with('\\');
    if (more) line.back() = '\n';
    entry += line;
    if (!more) break;
  }
  while (!entry.empty() && (entry.back() == '\n' || entry.back() == ' ')) entry.pop_back();
  editor_.remember(entry);
  return true;
}

void Chat::take(const std::string& entry) {
  if (entry.find_first_not_of(" \t\n") == std::string::npos) return;
  if (entry.front() == '/' && entry.find('\n') == std::string::npos) command(entry);
  else say(entry);
}

void Chat::command(const std::string& entry) {
  const size_t space = entry.find(' ');
  const std::string name = entry.substr(0, space);
  std::string argument = space == std::string::npos ? "" : entry.substr(space + 1);
  argument.erase(0, argument.find_first_not_of(' '));
  for (const auto& known : commands())
    if (name == known.name || (name == "/exit" && known.name == std::string_view("/quit")))
      return (this->*known.act)(argument);
  throw Error(ErrorKind::kUsage, fmt::format("there is no command {}", name), {},
              did_you_mean(name, command_words(),
                           "/help lists the commands; begin a message with a space to send it as it is"));
}

void Chat::say(const std::string& text, const char* role) {
  std::string content = text;
  if (repair_utf8(content)) note("the message is not valid UTF-8; broken bytes became U+FFFD");
  const size_t before = messages_.size();
  if (remembering_) {
    ProgressBar bar(ProgressBar::Unit::kCount, options_.quiet);
    remembering_->pin(bar.callback());
    forget_fallen();
    if (role == std::string_view("user")) {
      for (Message& recalled : remembering_->recall(content)) messages_.push_back(std::move(recalled));
    }
  }
  messages_.push_back({role, content});
  regenerated_ = 0;
  try {
    if (answer()) return;
  } catch (...) {
    messages_.resize(before);  // what could not be answered was not said
    throw;
  }
  messages_.resize(before);
}

// What the memory has lowered since, and what the model wrote after it, is not said to it again.
void Chat::forget_fallen() {
  const std::vector<std::string> fallen = remembering_->context().fallen();
  const auto first = std::ranges::find_if(messages_, [&](const Message& message) {
    return message.label && std::ranges::find(fallen, message.label->source) != fallen.end();
  });
  if (first == messages_.end()) return;
  const auto tainted = [&](const Message& message) {
    const bool gone = message.label && std::ranges::find(fallen, message.label->source) != fallen.end();
    return gone || message.role == "assistant";
  };
  messages_.erase(std::remove_if(first, messages_.end(), tainted), messages_.end());
  remark("(a record was taken back: it and the answers after it are forgotten)");
}

void Chat::memory(const std::string& argument) {
  if (!remembering_) throw Error(ErrorKind::kUsage, "there is no memory", {}, "--memory FOLDER at the start gives one");
  MemoryContext& context = remembering_->context();
  if (!argument.empty()) {
    const nlohmann::json params = {{"text", argument}, {"channel", "user"}};
    const auto added = nlohmann::json::parse(context.calls().call(context.caller(), "add", params.dump()));
    return remark(fmt::format("({} {}{})", added.at("id").get<std::string>().substr(0, 12),
                              added.at("status").get<std::string>(),
                              added.at("duplicate").get<bool>() ? ", it was there already" : ""));
  }
  if (context.given().empty()) return remark("(nothing was recalled so far)");
  for (const MemoryContext::Record& record : context.given())
    tell(fmt::format("  {} {:<9} {}  {}", record.id.substr(0, 12), record.integrity,
                     printable_line(record.text.substr(0, 60)), printable_line(record.uri)));
}

// Answers messages_, whose last is the user's, and appends the answer; false where it was stopped before the first
// word.
bool Chat::answer() {
  const auto spans = maker_.spans(messages_);
  std::vector<TokenId> tokens;
  for (const auto& span : spans) tokens.insert(tokens.end(), span.tokens.begin(), span.tokens.end());
  if (options_.show_prompt)
    tell(fmt::format("{}\n[{} tokens: {}]", maker_.text(messages_), tokens.size(), fmt::join(tokens, " ")));
  const int room = session_.context() - session_.anchor_size();
  if (static_cast<int>(tokens.size()) >= room)
    throw Error(ErrorKind::kLimit,
                fmt::format("the conversation has {} tokens, the context takes {}", tokens.size(), room), {},
                "/undo or /clear makes room; so does a larger --context at the start");
  SamplingOptions sampling = options_.sampling;
  sampling.special = sampling.special || maker_.shows_control();
  sampling.seed += regenerated_;
  Generation reply;
  {
    ProgressBar bar(ProgressBar::Unit::kCount, options_.quiet);
    AnswerPrinter printer;
    try {
      reply = session_.generate(
          spans, sampling,
          [&](std::string_view piece) {
            bar.wipe();
            printer.write(piece);
          },
          interrupt_flag(), bar.callback());
    } catch (const Error&) {
      if (!interrupted()) throw;
      reply.reason = FinishReason::kCancelled;
    }
  }
  const bool stopped = reply.reason == FinishReason::kCancelled;
  if (stopped && (!editor_.on_terminal() || interrupt_exit_code() != 130)) throw Interrupted{};
  if (stopped) clear_interrupt();
  if (!reply.text.empty() && !reply.text.ends_with('\n')) write_out("\n");
  flush_out();
  if (stopped && reply.text.empty()) {
    remark("(stopped before the first word; this does not count)");
    return false;
  }
  messages_.push_back(maker_.answer(reply.text, sampling.special ? std::span(reply.tokens) : std::span<TokenId>()));
  for (const auto& call : messages_.back().calls)
    tell(fmt::format("(calls {} with {}; /tool RESULT answers)", call.name, call.arguments));
  for (const std::string& why : messages_.back().refusals) note("a tool call could not be read: " + why);
  if (stopped) remark("(stopped)");
  if (reply.reason == FinishReason::kContext)
    tell_error(Error(ErrorKind::kLimit,
                     fmt::format("the answer stops here: the context of {} tokens is full", session_.context()), {},
                     "/undo or /clear makes room; so does a larger --context at the start"));
  if (reply.reason == FinishReason::kLoop)
    note("the answer repeats itself; stopped (/set no-loop-check true lets it go on)");
  if (reply.reason == FinishReason::kLength) remark("(stopped at --max-tokens)");
  if (remembering_ && !options_.quiet) {
    if (const std::string used = remembering_->used(reply); !used.empty())
      write_err("memory: what the answer looked at\n" + used, Style::kDim);
  }
  if (!options_.quiet) {
    tell_run_line(run_line(reply.stats) +
                  fmt::format(" | context {}/{}", session_.tokens().size(), session_.context()));
  }
  return true;
}

void Chat::help(const std::string&) {
  for (const auto& known : commands()) tell(fmt::format("  {:<13}{:<14}{}", known.name, known.argument, known.about));
  tell(
      "Several lines: end a line with \\, put them between \"\"\" and \"\"\", type Alt-Enter, or paste.\n"
      "Ctrl-C stops an answer.");
}

void Chat::set(const std::string& argument) {
  if (argument.empty()) {
    for (const auto& [name, value] : sampling_values(options_.sampling)) tell(fmt::format("  {:<22}{}", name, value));
    return;
  }
  size_t end = argument.find_first_of(" =");
  std::string name = argument.substr(0, end);
  name.erase(0, name.find_first_not_of('-'));
  std::replace(name.begin(), name.end(), '_', '-');
  CLI::Option* option = settings_.get_option_no_throw("--" + name);
  if (option == nullptr || name == "help") {
    std::vector<std::string> names;
    for (const auto* each : settings_.get_options()) names.push_back(long_name(*each));
    throw Error(ErrorKind::kUsage, fmt::format("there is no setting '{}'", name), {},
                did_you_mean(name, names, "/set alone shows them"));
  }
  if (end == std::string::npos) throw Error(ErrorKind::kUsage, fmt::format("/set {} needs a value", name));
  end = argument.find_first_not_of(' ', end + 1);
  SamplingOptions before = options_.sampling;
  try {
    set_option(*option, {end == std::string::npos ? std::string() : argument.substr(end)}, "/set");
    check_sampling(options_.sampling, model_->tokenizer());
  } catch (...) {
    options_.sampling = std::move(before);
    throw;
  }
}

void Chat::set_system(const std::string& text) {
  if (!messages_.empty() && messages_.front().role == "system") messages_.erase(messages_.begin());
  if (!text.empty()) messages_.insert(messages_.begin(), {"system", text});
}

void Chat::system(const std::string& argument) {
  if (!argument.empty()) return set_system(argument == "-" ? "" : argument);
  const bool some = !messages_.empty() && messages_.front().role == "system";
  tell(some ? messages_.front().content : "(no system message)");
}

void Chat::regenerate(const std::string&) {
  if (messages_.empty() || messages_.back().role != "assistant")
    throw Error(ErrorKind::kUsage, "there is no answer to repeat");
  if (options_.sampling.temperature == 0) remark("(temperature 0: the same answer comes again)");
  const Message last = messages_.back();
  messages_.pop_back();
  ++regenerated_;
  try {
    if (answer()) return;
  } catch (...) {
    messages_.push_back(last);
    throw;
  }
  messages_.push_back(last);
}

void Chat::undo(const std::string&) {
  size_t last = messages_.size();
  while (last > 0 && messages_[last - 1].role != "user") --last;
  if (last == 0) throw Error(ErrorKind::kUsage, "there is nothing to undo");
  messages_.resize(last - 1);
  remark(fmt::format("(forgotten; {} messages are left)", messages_.size()));
}

void Chat::pin(const Anchor& anchor) {
  ProgressBar bar(ProgressBar::Unit::kCount, options_.quiet);
  set_anchor(session_, anchor, options_.content_specials, bar.callback());
  bar.wipe();
  const int size = session_.anchor_size();
  remark(size > 0 ? fmt::format("(an anchor of {} tokens)", size) : "(no anchor)");
}

void Chat::clear(const std::string&) {
  const bool some = !messages_.empty() && messages_.front().role == "system";
  messages_.resize(some ? 1 : 0);
}

void Chat::tool(const std::string& argument) {
  if (messages_.empty() || messages_.back().calls.empty()) throw Error(ErrorKind::kUsage, "no tool was called");
  say(argument, "tool");
}

void Chat::save(const std::string& argument) {
  if (argument.empty()) throw Error(ErrorKind::kUsage, "/save needs a file");
  if (argument != saved_as_ && std::filesystem::exists(argument))
    throw Error(ErrorKind::kUsage, "this file exists already", argument, "choose another name, or remove it first");
  AtomicFile file(argument);
  const std::string json = to_json(messages_);
  file.write(json);
  file.commit();
  saved_as_ = argument;
  remark(fmt::format("(saved {} messages)", messages_.size()));
}

void Chat::load(const std::string& argument) {
  if (argument.empty()) throw Error(ErrorKind::kUsage, "/load needs a file");
  messages_ = messages_from_json(read_file(argument), argument);
  saved_as_ = argument;
  remark(fmt::format("(loaded {} messages)", messages_.size()));
}

}  // namespace

Action add_chat(CLI::App& app) {
  auto options = std::make_shared<ChatOptions>();
  add_model(app, options->model.model);
  add_context(app, options->model.session);
  add_experts(app, options->model.load);
  add_adapters(app, options->model.load);
  add_text(app, "-s,--system", options->system, "TEXT", "A system message at the start")->group("Prompt");
  add_text(app, "--template", options->template_file, "FILE", "A Jinja chat template in place of the model's")
      ->group("Prompt");
  add_flag(app, "--show-prompt", options->show_prompt, "Show on stderr what the model gets: text and token ids")
      ->group("Prompt");
  add_text(app, "--tools", options->tools_file, "FILE", "Functions that the model may call, a list in JSON")
      ->group("Prompt");
  add_content_specials(app, options->content_specials);
  add_anchor(app, options->anchor);
  add_memory_choice(app, options->memory);
  options->sampling_defaults = add_sampling(app, options->sampling);
  add_quiet(app, options->quiet);
  add_threads(app, options->model.load);
  add_speculation(app, options->model);
  add_executor(app, options->model.session);
  app.footer(
      "  fieldprint chat\n"
      "  fieldprint chat --system \"Answer in French.\" --temp 0.3\n"
      "  printf 'Hello\\nAnd you?\\n' | fieldprint chat        each line is a turn");
  return [options] {
    const SignalGuard guard;
    const std::string folder = user_folder("XDG_STATE_HOME", ".local/state");
    LineEditor editor(folder.empty() ? "" : folder + "/history", command_words());
    const auto model = load_model(options->model);
    load_draft(options->model);
    options->sampling_defaults(*model, editor.on_terminal() ? -1 : kUnwatchedTokens);
    Chat(*options, model, editor).loop();
    return kDone;
  };
}

}  // namespace fieldprint::cli
