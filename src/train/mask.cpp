#include "train/mask.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "fieldprint/error.h"

namespace fieldprint {
namespace {

using Tokens = std::vector<TokenId>;

// Tokens of a text of which the first `begin` are those of the beginning that was asked for.
struct Continued {
  Tokens tokens;
  size_t begin = 0;
};

bool starts_with(const Tokens& tokens, const Tokens& start) {
  return tokens.size() >= start.size() && std::equal(start.begin(), start.end(), tokens.begin());
}

std::vector<TextRange> ranges_behind(const std::vector<TextRange>& ranges, size_t at) {
  std::vector<TextRange> behind;
  for (const TextRange& range : ranges) {
    if (range.end > at) behind.push_back({std::max(range.begin, at) - at, range.end - at});
  }
  return behind;
}

// A prompt's tokens and what comes behind it in `whole`, a text that begins like it. Where a token of the whole lies
// across the end, what follows is encoded by itself, as a model would begin its answer. nullopt: that would be another
// text.
std::optional<Continued> continued(const Tokenizer& tokenizer, std::string_view prompt, const RenderedPrompt& whole) {
  const Tokens all = encode_prompt(tokenizer, whole.text, whole.content);
  std::vector<TextRange> content;
  for (const TextRange& range : whole.content) {
    if (range.begin < prompt.size()) content.push_back({range.begin, std::min(range.end, prompt.size())});
  }
  Tokens tokens = encode_prompt(tokenizer, prompt, content);
  const size_t begin = tokens.size();
  if (starts_with(all, tokens)) return Continued{all, begin};
  const auto rest = ranges_behind(whole.content, prompt.size());
  const Tokens behind = tokenizer.encode(std::string_view(whole.text).substr(prompt.size()),
                                         {.add_special = false, .parse_special = true, .plain = rest});
  tokens.insert(tokens.end(), behind.begin(), behind.end());
  if (tokenizer.decode(tokens) != tokenizer.decode(all)) return std::nullopt;
  return Continued{std::move(tokens), begin};
}

std::string_view without_spaces(std::string_view text) { return text.substr(0, text.find_last_not_of(" \t\r\n") + 1); }

// Where an answer's beginning is not what the template keeps of it: how much of the prompt is in both. It reaches into
// the words with which the template opens the answer, behind the `before` bytes of the messages before it, and not into
// any message. 0: there is no such place, so where the answer begins is not known.
size_t shared_opening(std::string_view prompt, std::string_view whole, size_t before, size_t content_begin) {
  const auto differ = std::mismatch(prompt.begin(), prompt.end(), whole.begin(), whole.end()).first;
  size_t shared = std::min(static_cast<size_t>(differ - prompt.begin()), content_begin);
  shared = shared == 0 ? 0 : prompt.find_last_of(">]\n", shared - 1) + 1;  // back to the end of a mark or a line
  return shared > before && !without_spaces(prompt.substr(before, shared - before)).empty() ? shared : 0;
}

// Whether a prompt's last words end a thought rather than begin one: what follows them is the answer.
bool ends_thought(std::string_view words) {
  return words.find("</think>") != std::string_view::npos || words.find("<channel|>") != std::string_view::npos;
}

struct Turn {
  Tokens tokens;     // of the conversation up to its end
  size_t begin = 0;  // of those that are learned
  bool ended = false;
};

class Conversation {
 public:
  Conversation(const Row& row, const Tokenizer& tokenizer, const ChatTemplate& chat_template)
      : row_(row), tokenizer_(tokenizer), format_(tokenizer, chat_template, {.tools = row.tools}) {}

  Turn turn(size_t i, MaskNotes& notes) const {
    const RenderedPrompt prompt = rendered(i, true);
    RenderedPrompt whole = rendered(i + 1, false);
    size_t shared = prompt.text.size();
    if (!whole.text.starts_with(prompt.text)) {
      const size_t before = size_before(i, prompt.text, whole.text);
      size_t content_begin = whole.text.size();
      for (const TextRange& range : whole.content) {
        if (range.end > before) {
          content_begin = std::max(before, range.begin);
          break;
        }
      }
      shared = shared_opening(prompt.text, whole.text, before, content_begin);
      if (shared == 0) refuse(i, "the template asks for it in other words than it keeps it in");
      // A prompt that begins and ends an empty thought is answered behind it, though the template keeps no such thing.
      // Of one that only begins it, the answer is learned as the template keeps it: without.
      if (const auto opened = std::string_view(prompt.text).substr(shared); ends_thought(opened)) {
        size_t again = content_begin - shared;  // words of the thought's end that the template keeps: they are there
        while (!opened.ends_with(std::string_view(whole.text).substr(shared, again))) --again;
        const size_t answer = shared + again;
        whole.content = ranges_behind(whole.content, answer);
        for (TextRange& range : whole.content) range.begin += prompt.text.size(), range.end += prompt.text.size();
        whole.content.insert(whole.content.begin(), prompt.content.begin(), prompt.content.end());
        whole.text = prompt.text + whole.text.substr(answer);
        shared = prompt.text.size();
      } else {
        ++notes.thoughts_unopened;
      }
    }
    auto found = continued(tokenizer_, std::string_view(whole.text).substr(0, shared), whole);
    if (!found) refuse(i, "its tokens cannot be told from those of the prompt before it");
    Turn turn{std::move(found->tokens), found->begin};
    // The engine ends an answer at the first token that ends one.
    const auto first = turn.tokens.begin() + static_cast<std::ptrdiff_t>(turn.begin);
    const auto end = std::find_if(first, turn.tokens.end(), [&](TokenId t) { return tokenizer_.ends_generation(t); });
    turn.ended = end != turn.tokens.end();
    if (turn.ended) {
      if (says_more(whole, shared, *end)) refuse(i, "the template ends the answer before it has said all of it");
      turn.tokens.erase(end + 1, turn.tokens.end());
    }
    if (turn.tokens.size() == turn.begin) refuse(i, "the template leaves it out");
    const std::string& thought = row_.messages[i].reasoning;
    const size_t from = thought.find_first_not_of(" \t\r\n");
    if (from != std::string::npos) {
      const std::string_view words = without_spaces(std::string_view(thought).substr(from));
      if (whole.text.find(words, shared) == std::string::npos) ++notes.thoughts_dropped;
    }
    return turn;
  }

 private:
  [[noreturn]] static void refuse(size_t i, const std::string& why) {
    throw RowError{RowFault::kTemplate, fmt::format("message {}: {}", i + 1, why)};
  }

  RenderedPrompt rendered(size_t count, bool open) const {
    return format_.rendered({row_.messages.begin(), row_.messages.begin() + static_cast<std::ptrdiff_t>(count)}, open);
  }

  // Bytes of what stands before an answer and the words that open it; npos: that cannot be told.
  size_t size_before(size_t i, std::string_view prompt, std::string_view whole) const {
    try {
      const std::string before = rendered(i, false).text;
      if (prompt.starts_with(before) && whole.starts_with(before)) return before.size();
    } catch (const Error&) {  // some templates refuse a conversation that ends so
    }
    return std::string::npos;
  }

  // Whether words of messages come behind the token `end`, looked for from `at` on.
  bool says_more(const RenderedPrompt& whole, size_t at, TokenId end) const {
    const std::string_view mark = tokenizer_.piece(end);
    for (size_t found = whole.text.find(mark, at); found != std::string::npos;
         found = whole.text.find(mark, found + 1)) {
      const bool own = std::none_of(whole.content.begin(), whole.content.end(),
                                    [&](const TextRange& r) { return r.begin < found + mark.size() && r.end > found; });
      if (own) return !whole.content.empty() && whole.content.back().end > found;
    }
    return false;
  }

  const Row& row_;
  const Tokenizer& tokenizer_;
  const ChatFormat format_;
};

void learn(Example& example, size_t begin, size_t end) {
  std::fill(example.weights.begin() + static_cast<std::ptrdiff_t>(begin),
            example.weights.begin() + static_cast<std::ptrdiff_t>(end), 1.0f);
}

// Marks the turn in an example that has it as it was learned; false: it has not.
bool joins(const Turn& turn, Example& example, const Tokenizer& tokenizer) {
  if (!starts_with(example.tokens, turn.tokens)) return false;
  size_t end = turn.tokens.size();
  if (!turn.ended) {  // whoever speaks next is who ends it
    if (end >= example.tokens.size() || !tokenizer.ends_generation(example.tokens[end])) return false;
    ++end;
  }
  learn(example, turn.begin, end);
  return true;
}

std::vector<Example> mask_conversation(const Row& row, const Tokenizer& tokenizer, const ChatTemplate& chat_template,
                                       MaskNotes& notes) {
  std::vector<Example> examples;  // of the last turn first
  const Conversation conversation(row, tokenizer, chat_template);
  for (size_t i = row.messages.size(); i-- > 0;) {
    if (!row.learned[i]) continue;
    Turn turn = conversation.turn(i, notes);
    ++notes.turns;
    if (std::any_of(examples.rbegin(), examples.rend(), [&](Example& e) { return joins(turn, e, tokenizer); }))
      continue;
    Example& example = examples.emplace_back();
    example.tokens = std::move(turn.tokens);
    if (!turn.ended && tokenizer.eos() != kNoToken) {
      example.tokens.push_back(tokenizer.eos());
      ++notes.ended_by_eos;
    }
    example.weights.assign(example.tokens.size(), 0.0f);
    learn(example, turn.begin, example.tokens.size());
  }
  for (Example& example : examples) example.weights[0] = 0;  // nothing is before it
  std::reverse(examples.begin(), examples.end());
  return examples;
}

Example mask_text(const Row& row, const Tokenizer& tokenizer, const MaskOptions& options) {
  RenderedPrompt whole{row.before + row.text, {}};
  if (!options.specials) whole.content = {{0, whole.text.size()}};
  const auto found = continued(tokenizer, row.before, whole);
  if (!found) throw RowError{RowFault::kTemplate, "the completion's tokens cannot be told from the prompt's"};
  Example example{.tokens = found->tokens, .weights = {}};
  if (tokenizer.eos() != kNoToken && (example.tokens.empty() || !tokenizer.ends_generation(example.tokens.back())))
    example.tokens.push_back(tokenizer.eos());
  example.weights.assign(example.tokens.size(), 0.0f);
  learn(example, found->begin, example.tokens.size());
  if (!example.weights.empty()) example.weights[0] = 0;  // nothing is before it
  return example;
}

}  // namespace

std::vector<Example> mask_row(const Row& row, const Tokenizer& tokenizer, const ChatTemplate* chat_template,
                              const MaskOptions& options, MaskNotes* notes) {
  MaskNotes own;
  std::vector<Example> examples;
  if (row.messages.empty()) {
    examples.push_back(mask_text(row, tokenizer, options));
  } else {
    if (chat_template == nullptr) throw RowError{RowFault::kTemplate, "the model has no chat template"};
    try {
      examples = mask_conversation(row, tokenizer, *chat_template, notes != nullptr ? *notes : own);
    } catch (const Error& error) {
      throw RowError{RowFault::kTemplate, error.what()};
    }
  }
  std::erase_if(examples, [](const Example& example) { return example.weight() == 0; });
  if (examples.empty()) throw RowError{RowFault::kMasked, "nothing of it is learned"};
  return examples;
}

}  // namespace fieldprint
