// What filters kept, from their report.
#include <fmt/format.h>

#include <cstdint>
#include <limits>

#include "base/json.h"
#include "distil/card_parts.h"
#include "distil/markdown.h"
#include "fieldprint/error.h"

namespace fieldprint::distil {
namespace {

using Json = nlohmann::ordered_json;

std::string hash_text(const Json& of, const char* name) {
  const std::string hash = of.at(name).get<std::string>();
  return hash.empty() ? "not known" : code_span(hash);
}

// A count that is none is reported as all else that is not in the form.
int64_t count(const Json& of, const char* name, int64_t most = std::numeric_limits<int64_t>::max()) {
  const Json& value = of.at(name);
  if (!value.is_number_integer() || (value.is_number_unsigned() && value.get<uint64_t>() > INT64_MAX) ||
      value.get<int64_t>() < 0 || value.get<int64_t>() > most)
    throw Error(ErrorKind::kBadInput, fmt::format("\"{}\" is no count", name));
  return value.get<int64_t>();
}

bool is_sha256(const std::string& text) {
  return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

}  // namespace

FilterPart filter_part(const std::string& report) {
  const Json json = parse_ordered_json(read_whole(report), report);
  FilterPart part;
  try {
    std::string& text = part.markdown;
    part.kept_sha256 = json.at("kept_sha256").get<std::string>();
    if (!is_sha256(part.kept_sha256)) throw Error(ErrorKind::kBadInput, "\"kept_sha256\" is no SHA-256");
    for (const Json& t : json.at("teachers")) {
      if (part.teacher.empty())
        part.teacher = t.at("name").get<std::string>() + " " + t.at("model_sha256").get<std::string>();
      text += fmt::format("- teacher {} ({} rows): model {}, chat template {}, vocabulary {}\n",
                          code_span(t.at("name").get<std::string>()), count(t, "rows"), hash_text(t, "model_sha256"),
                          hash_text(t, "template_sha256"), hash_text(t, "vocabulary_sha256"));
    }
    for (const Json& file : json.at("files"))
      text += fmt::format("- rows before filters, {}: {}, SHA-256 {}\n", code_span(file.at("name").get<std::string>()),
                          count(file, "rows"), hash_text(file, "sha256"));
    const int64_t rows = count(json, "rows"), prompts = count(json, "prompts");
    text +=
        fmt::format("- kept: {} of {} rows, of {} of {} prompts, {} tokens of answers\n\n", count(json, "kept", rows),
                    rows, count(json, "kept_prompts", prompts), prompts, count(json, "kept_tokens"));
    text += "| filter | told | looked at | dropped | why |\n|---|---|---:|---:|---|\n";
    for (const Json& filter : json.at("filters")) {
      std::string why;
      for (const Json& reason : filter.at("reasons"))
        why += fmt::format("{}{} {}", why.empty() ? "" : ", ", count(reason, "rows", rows),
                           plain_text(reason.at("why").get<std::string>()));
      text += fmt::format("| {} | {} | {} | {} | {} |\n", plain_text(filter.at("name").get<std::string>()),
                          plain_text(filter.at("setting").get<std::string>()), count(filter, "rows", rows),
                          count(filter, "dropped", rows), why);
    }
  } catch (const Error& error) {
    throw Error(ErrorKind::kBadInput, fmt::format("this is no report of `distil filter`: {}", error.what()), report);
  } catch (const Json::exception&) {
    throw Error(ErrorKind::kBadInput, "this is no report of `distil filter`", report);
  }
  return part;
}

}  // namespace fieldprint::distil
