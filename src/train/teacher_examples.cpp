#include "train/teacher_examples.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "base/json.h"
#include "base/sha256.h"
#include "fieldprint/chat.h"
#include "fieldprint/error.h"
#include "train/rows.h"

namespace fieldprint {
namespace {

using nlohmann::ordered_json;

constexpr std::pair<std::string_view, Learn> kNames[] = {
    {"answer", Learn::kAnswer}, {"trace", Learn::kTrace}, {"ids", Learn::kIds}, {"top-k", Learn::kTop}};
constexpr float kNothing = -std::numeric_limits<float>::infinity();
constexpr const char* kOutside = "a token id is outside of the vocabulary";
constexpr double kMostLost = 0.1;  // of ln 1, by the rounding of halves

std::string_view trimmed(std::string_view text) {
  const size_t from = text.find_first_not_of(" \t\r\n");
  return from == std::string_view::npos ? "" : text.substr(from, text.find_last_not_of(" \t\r\n") + 1 - from);
}

std::string name_of(const TeacherRow& row) {
  return row.teacher.name.empty() ? "the teacher" : fmt::format("the teacher '{}'", row.teacher.name);
}

// The prompt and what the teacher said as a conversation of which that alone is learned.
Row conversation(const TeacherRow& row, const std::string& reasoning) {
  ordered_json answer = {{"role", "assistant"}, {"content", row.content}};
  if (!reasoning.empty()) answer["reasoning_content"] = reasoning;
  if (!row.tool_calls.empty()) answer["tool_calls"] = parse_ordered_json(row.tool_calls, {});
  ordered_json json = {{"messages", parse_ordered_json(row.messages, {})}};
  json["messages"].push_back(std::move(answer));
  if (!row.tools.empty()) json["tools"] = parse_ordered_json(row.tools, {});
  Row all = read_row(json.dump());
  all.learned.assign(all.learned.size(), false);
  all.learned.back() = true;
  return all;
}

}  // namespace

std::optional<Learn> find_learn(std::string_view name) {
  for (const auto& [known, learn] : kNames) {
    if (known == name) return learn;
  }
  return std::nullopt;
}

TeacherLessons::TeacherLessons(Learn learn, const Tokenizer& tokenizer, const ChatTemplate* chat_template,
                               const std::string& rows)
    : learn_(learn), tokenizer_(tokenizer), chat_template_(chat_template) {
  if (learn_ == Learn::kIds || learn_ == Learn::kTop) vocabulary_ = vocabulary_sha256(tokenizer);
  if (chat_template != nullptr) template_ = sha256_hex(std::as_bytes(std::span(chat_template->source())));
  if (learn_ != Learn::kTop) return;
  const std::string path = rows.substr(0, rows.rfind(".jsonl")) + ".top";
  try {
    top_ = std::make_unique<TopFile>(path);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kNotFound) throw;  // a file without a teacher's rows has none
  }
}

std::string TeacherLessons::fingerprint() const {
  std::string name;
  for (const auto& [known, learn] : kNames) {
    if (learn == learn_) name = known;
  }
  return top_ == nullptr ? name : fmt::format("{} {}", name, top_->sha256());
}

std::vector<Example> TeacherLessons::examples(const TeacherRow& row, const MaskOptions& options,
                                              MaskNotes& notes) const {
  if (row.failed())
    throw RowError{RowFault::kNoAnswer, fmt::format("{} gave none: {} ({})", name_of(row), row.failure, row.detail)};
  if (learn_ == Learn::kAnswer || learn_ == Learn::kTrace) return of_text(row, options, notes);
  std::vector<Example> examples = {of_ids(row)};
  ++notes.turns;
  const std::string& theirs = row.teacher.template_sha256;
  if (!row.prompt_ids.empty() && !theirs.empty() && theirs != template_) ++notes.foreign_prompts;
  return examples;
}

std::vector<Example> TeacherLessons::of_text(const TeacherRow& row, const MaskOptions& options,
                                             MaskNotes& notes) const {
  // The template would end what the teacher did not.
  if (row.finish_reason == "length" || row.unclosed)
    throw RowError{RowFault::kNoAnswer, row.unclosed ? "its thought does not end" : "it was cut off before its end"};
  if (trimmed(row.content).empty() && row.tool_calls.empty())
    throw RowError{RowFault::kNoAnswer, fmt::format("{} answered nothing", name_of(row))};
  const std::string reasoning(learn_ == Learn::kTrace ? trimmed(row.reasoning) : "");
  MaskNotes own;
  Row talk = conversation(row, reasoning);
  std::vector<Example> examples = mask_row(talk, tokenizer_, chat_template_, options, &own);
  if (own.thoughts_dropped > 0) {
    own = {};
    talk.messages.back().reasoning.clear();
    talk.messages.back().content = fmt::format("<think>\n{}\n</think>\n\n{}", reasoning, row.content);
    examples = mask_row(talk, tokenizer_, chat_template_, options, &own);
  }
  notes.turns += own.turns;
  notes.thoughts_unopened += own.thoughts_unopened;
  notes.ended_by_eos += own.ended_by_eos;
  return examples;
}

void TeacherLessons::require_vocabulary(const TeacherRow& row) const {
  const std::string& theirs = row.teacher.vocabulary_sha256;
  if (theirs == vocabulary_) return;
  if (!theirs.empty()) {
    throw RowError{
        RowFault::kForeignIds,
        fmt::format("{} has another vocabulary ({:.12}) than the student ({:.12}): its token ids mean nothing here",
                    name_of(row), theirs, vocabulary_)};
  }
  // What is not known shows where the ids are to read as the teacher's words; of tokens that it did not choose nothing
  // shows.
  bool reads = learn_ == Learn::kIds && std::all_of(row.token_ids.begin(), row.token_ids.end(),
                                                    [&](TokenId id) { return id < tokenizer_.size(); });
  if (reads) {
    const std::string text = tokenizer_.decode(row.token_ids);
    reads =
        text.find(trimmed(row.content)) != std::string::npos && text.find(trimmed(row.reasoning)) != std::string::npos;
  }
  if (!reads) {
    throw RowError{
        RowFault::kForeignIds,
        fmt::format("which vocabulary {} has is not known, so its token ids may mean nothing here", name_of(row))};
  }
}

Example TeacherLessons::of_ids(const TeacherRow& row) const {
  if (row.token_ids.empty()) throw RowError{RowFault::kNoTokens, fmt::format("{} sent no token ids", name_of(row))};
  require_vocabulary(row);
  Example example;
  example.tokens = row.prompt_ids;
  if (example.tokens.empty()) {
    if (chat_template_ == nullptr) throw RowError{RowFault::kTemplate, "the model has no chat template"};
    TeacherRow asked = row;
    asked.content = "-", asked.tool_calls.clear();
    Row talk = conversation(asked, {});
    talk.messages.pop_back();
    const ChatFormat format(tokenizer_, *chat_template_, {.tools = talk.tools});
    const RenderedPrompt prompt = format.rendered(talk.messages, true);
    example.tokens = encode_prompt(tokenizer_, prompt.text, prompt.content);
  }
  const size_t begin = example.tokens.size();
  example.tokens.insert(example.tokens.end(), row.token_ids.begin(), row.token_ids.end());
  if (std::any_of(example.tokens.begin(), example.tokens.end(), [&](TokenId id) { return id >= tokenizer_.size(); }))
    throw RowError{RowFault::kShape, kOutside};
  example.weights.assign(example.tokens.size(), 0.0f);
  std::fill(example.weights.begin() + static_cast<std::ptrdiff_t>(begin), example.weights.end(), 1.0f);
  if (learn_ == Learn::kTop) add_distribution(row, example);
  example.weights[0] = 0;  // nothing is before it
  return example;
}

// The record is a file's, and hostile until checked: what the loss relies on is made sure of here.
void TeacherLessons::add_distribution(const TeacherRow& row, Example& example) const {
  if (top_ == nullptr) {
    throw RowError{RowFault::kNoTokens,
                   "there is no file of the teacher's probabilities beside the rows: X.top for X.jsonl"};
  }
  const std::string_view bytes = top_->bytes(row.key);
  if (bytes.empty() || row.top_k == 0)
    throw RowError{RowFault::kNoTokens, "there are no probabilities of it beside the rows"};
  if (!row.top_sha256.empty() && sha256_hex(std::as_bytes(std::span(bytes))) != row.top_sha256)
    throw RowError{RowFault::kProbabilities, "the probabilities beside the rows are those of another answer"};
  TopRecord record = *top_->find(row.key);
  const size_t tokens = record.tail.size(), k = static_cast<size_t>(record.k), begin = example.tokens.size() - tokens;
  if (record.k != row.top_k)
    throw RowError{RowFault::kProbabilities,
                   fmt::format("the row says {} probabilities a token, and there are {}", row.top_k, record.k)};
  if (tokens != row.token_ids.size())
    throw RowError{RowFault::kProbabilities,
                   fmt::format("there are probabilities of {} tokens, and {} tokens", tokens, row.token_ids.size())};
  example.k = record.k;
  for (size_t t = 0; t < tokens; ++t) {
    const std::span<TokenId> ids = std::span(record.ids).subspan(t * k, k);
    const std::span<float> logp = std::span(record.logp).subspan(t * k, k);
    float& tail = record.tail[t];
    double sum = std::exp(static_cast<double>(tail));
    std::vector<TokenId> seen;
    for (size_t i = 0; i < k; ++i) {
      if (ids[i] == kNoToken || !std::isfinite(logp[i])) {
        ids[i] = kNoToken, logp[i] = kNothing;
        continue;
      }
      if (ids[i] >= tokenizer_.size()) throw RowError{RowFault::kShape, kOutside};
      seen.push_back(ids[i]);
      sum += std::exp(static_cast<double>(logp[i]));
    }
    std::sort(seen.begin(), seen.end());
    if (std::adjacent_find(seen.begin(), seen.end()) != seen.end())
      throw RowError{RowFault::kShape, "a token has two probabilities in one place"};
    float& weight = example.weights[begin + t];
    if (seen.empty() || begin + t == 0) {  // the server said nothing of it
      weight = 0;
      continue;
    }
    const double lost = std::log(sum);
    if (!(std::abs(lost) < kMostLost))
      throw RowError{RowFault::kShape, fmt::format("probabilities of one place are {:.3f} together, not 1", sum)};
    for (float& value : logp) value -= static_cast<float>(lost);
    tail -= static_cast<float>(lost);
    example.top_ids.insert(example.top_ids.end(), ids.begin(), ids.end());
    example.top_logp.insert(example.top_logp.end(), logp.begin(), logp.end());
    example.top_tail.push_back(tail);
  }
  if (example.weight() == 0) throw RowError{RowFault::kNoTokens, "the probabilities beside the rows say nothing"};
}

}  // namespace fieldprint
