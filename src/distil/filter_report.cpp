// What came out of filters, for programs and for people.
#include <fmt/format.h>

#include "base/json.h"
#include "distil/markdown.h"
#include "fieldprint/distil_filter.h"

namespace fieldprint {
namespace {

using Json = nlohmann::ordered_json;

double share(int64_t part, int64_t whole) {
  return whole > 0 ? 100 * static_cast<double>(part) / static_cast<double>(whole) : 0;
}

}  // namespace

std::string to_json(const FilterReport& r) {
  Json files = Json::array(), teachers = Json::array(), filters = Json::array();
  for (const auto& file : r.files) files.push_back({{"name", file.name}, {"sha256", file.sha256}, {"rows", file.rows}});
  for (const auto& t : r.teachers)
    teachers.push_back({{"name", t.name},
                        {"model_sha256", t.model_sha256},
                        {"template_sha256", t.template_sha256},
                        {"vocabulary_sha256", t.vocabulary_sha256},
                        {"rows", t.rows}});
  for (const auto& filter : r.filters) {
    Json reasons = Json::array();
    for (const auto& [why, reason] : filter.reasons) {
      Json samples = Json::array();
      for (const auto& s : reason.samples)
        samples.push_back({{"key", s.key}, {"detail", s.detail}, {"prompt", s.prompt}, {"answer", s.answer}});
      reasons.push_back({{"why", why}, {"rows", reason.rows}, {"samples", std::move(samples)}});
    }
    filters.push_back({{"name", filter.name},
                       {"setting", filter.setting},
                       {"rows", filter.rows},
                       {"dropped", filter.dropped},
                       {"reasons", std::move(reasons)},
                       {"notes", filter.notes}});
  }
  const Json all = {{"files", std::move(files)},
                    {"rows", r.rows},
                    {"prompts", r.prompts},
                    {"kept", r.kept},
                    {"kept_prompts", r.kept_prompts},
                    {"kept_tokens", r.kept_tokens},
                    {"kept_sha256", r.kept_sha256},
                    {"top_sha256", r.top_sha256},
                    {"teachers", std::move(teachers)},
                    {"filters", std::move(filters)}};
  return all.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string to_markdown(const FilterReport& r) {
  using namespace distil;
  std::string text = fmt::format("# Filtered rows\n\n{} of {} rows are kept ({:.1f}%), of {} of {} prompts.\n\n",
                                 r.kept, r.rows, share(r.kept, r.rows), r.kept_prompts, r.prompts);
  for (const auto& file : r.files)
    text += fmt::format("- {}: {} rows, SHA-256 `{}`\n", code_span(file.name), file.rows, file.sha256);
  if (!r.kept_sha256.empty()) text += fmt::format("- `kept.jsonl`: SHA-256 `{}`\n", r.kept_sha256);
  if (!r.top_sha256.empty()) text += fmt::format("- `kept.top`: SHA-256 `{}`\n", r.top_sha256);
  text +=
      "\nA row may have several reasons: filters that look at each row by itself see all of them, the others only what "
      "is "
      "left.\n\n| filter | told | looked at | dropped | reason | rows |\n|---|---|---:|---:|---|---:|\n";
  for (const auto& filter : r.filters) {
    const std::string head =
        fmt::format("| {} | {} | {} | {} |", filter.name, filter.setting.empty() ? "" : plain_text(filter.setting),
                    filter.rows, filter.dropped);
    if (filter.reasons.empty()) text += head + " | |\n";
    bool first = true;
    for (const auto& [why, reason] : filter.reasons) {
      text += fmt::format("{} {} | {} |\n", first ? head : "| | | | |", plain_text(why), reason.rows);
      first = false;
    }
  }
  text += '\n';
  for (const auto& filter : r.filters)
    for (const std::string& note : filter.notes) text += fmt::format("- {}: {}\n", filter.name, plain_text(note));
  for (const auto& filter : r.filters) {
    for (const auto& [why, reason] : filter.reasons) {
      text += fmt::format("\n## {}: {}\n", filter.name, plain_text(why));
      for (const auto& s : reason.samples) {
        text += fmt::format("\n`{}`{}\n\n", s.key, s.detail.empty() ? "" : ": " + plain_text(s.detail));
        text += code_block("> " + s.prompt + "\n\n" + s.answer);
      }
    }
  }
  return text;
}

}  // namespace fieldprint
