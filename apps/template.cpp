// `fieldprint template`: a chat template's output for variables given as JSON.
#include <fmt/format.h>

#include <ctime>
#include <nlohmann/json.hpp>

#include "command.h"
#include "fieldprint/chat_template.h"
#include "fieldprint/error.h"
#include "fieldprint/json.h"
#include "files.h"
#include "options.h"
#include "output.h"

namespace fieldprint::cli {

namespace {

using nlohmann::json;

std::time_t parse_time(const std::string& text) {
  std::tm broken{};
  const char* end = ::strptime(text.c_str(), "%Y-%m-%d %H:%M:%S", &broken);
  if (end == nullptr || *end != 0)
    throw Error(ErrorKind::kUsage, fmt::format("--now must be \"YYYY-MM-DD HH:MM:SS\", not '{}'", text));
  broken.tm_isdst = -1;
  return std::mktime(&broken);
}

struct Template {
  std::string model, file, now;
  bool jsonl = false;
  const CLI::Option* model_flag = nullptr;

  std::string render(const ChatTemplate& chat_template, const TemplateSource& source, const std::string& text,
                     const RenderOptions& options) const;
  int operator()() const;
};

// The JSON goes to the renderer as it came (its numbers and member order are kept); bos_token and eos_token of the
// model are put in front where it names none.
std::string Template::render(const ChatTemplate& chat_template, const TemplateSource& source, const std::string& text,
                             const RenderOptions& options) const {
  check_json(text, "the template's variables");
  const json variables = json::parse(text);
  if (!variables.is_object())
    throw Error(ErrorKind::kBadInput, "the template's variables are not a JSON object", {},
                "they should look like {\"messages\": [{\"role\": \"user\", \"content\": \"Hello\"}], "
                "\"add_generation_prompt\": true}");
  std::string added;
  const auto add = [&](const char* name, const std::string& value) {
    if (!value.empty() && !variables.contains(name)) added += fmt::format("\"{}\":{},", name, json_string(value));
  };
  add("bos_token", source.bos_token);
  add("eos_token", source.eos_token);
  if (added.empty()) return chat_template.render(text, options);
  if (variables.empty()) added.pop_back();
  std::string completed = text;
  completed.insert(completed.find('{') + 1, added);
  return chat_template.render(completed, options);
}

int Template::operator()() const {
  RenderOptions options;
  if (!now.empty()) {
    options.now = parse_time(now);
  } else if (const char* epoch = std::getenv("SOURCE_DATE_EPOCH"); epoch != nullptr && *epoch != 0) {
    options.now =
        static_cast<std::time_t>(parse_integer(epoch, 0, std::numeric_limits<int64_t>::max(), "$SOURCE_DATE_EPOCH"));
  }
  TemplateSource source;
  std::string where = file;
  if (file.empty() || model_flag->count() > 0) {
    where = file.empty() ? model_path(model) : file;
    source = read_chat_template(model_path(model));
  }
  if (!file.empty()) source.source = read_file(file);
  if (source.source.empty())
    throw Error(ErrorKind::kUnsupported, file.empty() ? "this model has no chat template" : "this template is empty",
                where, file.empty() ? "--template FILE names one" : "");
  const ChatTemplate chat_template = [&] {
    try {
      return ChatTemplate(source.source);
    } catch (const Error& error) {
      throw Error(error.kind(), error.what(), where, error.hint());
    }
  }();

  const std::string hint = "the variables must be JSON, as in: echo '{\"messages\": [...]}' | fieldprint template";
  if (!jsonl) {
    const std::string text = render(chat_template, source, read_input(hint), options);
    write_data(text);
    if (out_is_terminal()) write_out("\n");
    return kDone;
  }
  each_line(hint, [&](const std::string& line, int) {
    std::string out;
    try {
      out = json_string(render(chat_template, source, line, options), true);
    } catch (const Error& error) {
      out = json{{"error", error.what()}}.dump(-1, ' ', true, json::error_handler_t::replace);
    }
    write_data(out + "\n");
    flush_out();
  });
  return kDone;
}

}  // namespace

Action add_template(CLI::App& app) {
  auto options = std::make_shared<Template>();
  add_model(app, options->model);
  options->model_flag = app.get_option("--model");
  add_text(app, "--template", options->file, "FILE", "A Jinja template in place of the model's")->group("Model");
  add_text(app, "--now", options->now, "TIME",
           "The time for strftime_now, as \"2026-03-09 14:05:07\", local; without it $SOURCE_DATE_EPOCH, else the real "
           "time")
      ->group("Output");
  add_flag(app, "--jsonl", options->jsonl,
           "Read a JSON object per line, write a JSON string or {\"error\": ...} per line")
      ->group("Output");
  app.footer(
      "  echo '{\"messages\": [{\"role\": \"user\", \"content\": \"Hi\"}],\n"
      "         \"add_generation_prompt\": true}' | fieldprint template");
  return [options] { return (*options)(); };
}

}  // namespace fieldprint::cli
