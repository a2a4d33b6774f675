// What filters kept, from their report.
#include <fmt/format.h>

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

}  // namespace

FilterPart filter_part(const std::string& report) {
  const Json json = parse_ordered_json(read_whole(report), report);
  FilterPart part;
  try {
    std::string& text = part.markdown;
    part.kept_sha256 = json.at("kept_sha256").get<std::string>();
    for (const Json& t : json.at("teachers")) {
      if (part.teacher.empty())
        part.teacher = t.at("name").get<std::string>() + " " + t.at("model_sha256").get<std::string>();
      text +=
          fmt::format("- teacher {} ({} rows): model {}, chat template {}, vocabulary {}\n",
                      code_span(t.at("name").get<std::string>()), t.at("rows").get<int64_t>(),
                      hash_text(t, "model_sha256"), hash_text(t, "template_sha256"), hash_text(t, "vocabulary_sha256"));
    }
    for (const Json& file : json.at("files"))
      text += fmt::format("- rows before filters, {}: {}, SHA-256 {}\n", code_span(file.at("name").get<std::string>()),
                          file.at("rows").get<int64_t>(), hash_text(file, "sha256"));
    const auto rows = json.at("rows").get<int64_t>(), kept = json.at("kept").get<int64_t>();
    text += fmt::format("- kept: {} of {} rows, of {} of {} prompts, {} tokens of answers\n\n", kept, rows,
                        json.at("kept_prompts").get<int64_t>(), json.at("prompts").get<int64_t>(),
                        json.at("kept_tokens").get<int64_t>());
    text += "| filter | told | looked at | dropped | why |\n|---|---|---:|---:|---|\n";
    for (const Json& filter : json.at("filters")) {
      std::string why;
      for (const Json& reason : filter.at("reasons"))
        why += fmt::format("{}{} {}", why.empty() ? "" : ", ", reason.at("rows").get<int64_t>(),
                           plain_text(reason.at("why").get<std::string>()));
      text += fmt::format("| {} | {} | {} | {} | {} |\n", plain_text(filter.at("name").get<std::string>()),
                          plain_text(filter.at("setting").get<std::string>()), filter.at("rows").get<int64_t>(),
                          filter.at("dropped").get<int64_t>(), why);
    }
  } catch (const Json::exception&) {
    throw Error(ErrorKind::kBadInput, "this is no report of `distil filter`", report);
  }
  return part;
}

}  // namespace fieldprint::distil
