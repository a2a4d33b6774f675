// How a family of models writes tool calls. A format is a file in src/chat/formats/ and a row of src/chat/formats.def.
#pragma once

#include <cstddef>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "chat/call_grammar.h"
#include "fieldprint/chat_template.h"

namespace fieldprint {

// What is certain of an answer that is still being written: beginnings of what `read` will make of it, whatever
// follows.
struct PartialReply {
  TextRange content, reasoning;  // of the text
  std::vector<ToolCall> calls;   // the last one's arguments may go on
  size_t settled = 0;            // this many bytes can be read by themselves, and never need to be looked at again
};

struct ToolFormat {
  std::string_view name;
  bool (*fits)(std::string_view source);  // whether a template's source is of this format
  void (*read)(std::string_view text, const ReplyOptions& options, Reply& reply);  // all of `text`, in order
  PartialReply (*partial)(std::string_view text, const ReplyOptions& options);
  GrammarPtr (*grammar)(const CallRules& rules);  // of whole answers
  // Calls as its models write them, for templates that know nothing of calls: what stands between the two marks, which
  // are control tokens perhaps. Null where every template of the format knows them.
  std::string (*write)(const std::vector<ToolCall>& calls) = nullptr;
  std::string_view begin_mark = {}, end_mark = {};
};
const std::vector<const ToolFormat*>& tool_formats();  // the first that fits a template is its format

// Why what looks like a call is none; it stays text.
struct CallRefusal : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// The bytes text[begin, end) of an answer are content. Formats call it for ascending ranges.
void keep_content(Reply& reply, std::string_view text, size_t begin, size_t end);

// The first `mark` from `at` on; npos: there is none.
size_t find_mark(std::string_view text, std::string_view mark, size_t at, const ReplyOptions& options);

// For calls between marks: all that `calls_of` reads between them becomes calls, all else stays. It throws CallRefusal
// for what is no call. An end mark inside the text of an argument is passed over; an answer may stop before its last.
template <typename CallsOf>
void read_marked(std::string_view text, std::string_view begin_mark, std::string_view end_mark, CallsOf calls_of,
                 const ReplyOptions& options, Reply& reply) {
  constexpr int kMostEnds = 8;          // that one call is tried with,
  constexpr size_t kMostRefusals = 16;  // unless nothing of the answer can be read
  size_t done = 0;
  for (size_t begin; (begin = find_mark(text, begin_mark, done, options)) != std::string_view::npos;) {
    const size_t inside = begin + begin_mark.size();
    std::optional<std::string> refusal;
    size_t after = 0, end = inside;
    for (int i = 0; i < (reply.refusals.size() < kMostRefusals ? kMostEnds : 1); ++i) {
      end = find_mark(text, end_mark, end, options);
      const bool open = end == std::string_view::npos;
      if (open && i > 0) break;
      if (open) end = text.size();
      const size_t next = open ? end : end + end_mark.size();
      if (i == 0) after = next;
      try {
        const std::vector<ToolCall> calls = calls_of(text.substr(inside, end - inside));
        reply.calls.insert(reply.calls.end(), calls.begin(), calls.end());
        after = next;
        refusal.reset();
        break;
      } catch (const CallRefusal& why) {
        if (!refusal) refusal = why.what();
      }
      if (open) break;
      end = next;
    }
    if (refusal) {
      reply.refusals.push_back(*refusal);
      keep_content(reply, text, done, after);
    } else {
      keep_content(reply, text, done, begin);
    }
    done = after;
  }
  keep_content(reply, text, done, text.size());
}

// How many bytes at the end of `text` may be the beginning of `mark`.
size_t held_back(std::string_view text, std::string_view mark);

// `partial` for calls between marks: `calls_of` as in read_marked(), `begun` gives what is certain of an open one.
template <typename CallsOf, typename Begun>
PartialReply partial_marked(std::string_view text, std::string_view begin_mark, std::string_view end_mark,
                            CallsOf calls_of, Begun begun, const ReplyOptions& options) {
  PartialReply partial;
  const size_t begin = find_mark(text, begin_mark, 0, options);
  if (begin == std::string_view::npos) {
    partial.content = {0, text.size() - held_back(text, begin_mark)};
    return partial;
  }
  partial.content = {0, begin};
  const size_t inside = begin + begin_mark.size();
  constexpr int kMostEnds = 8;
  size_t end = inside;
  for (int i = 0; i < kMostEnds && (end = find_mark(text, end_mark, end, options)) != std::string_view::npos; ++i) {
    try {
      if (!calls_of(text.substr(inside, end - inside)).empty()) partial.settled = end + end_mark.size();
      if (partial.settled > 0) return partial;
    } catch (const CallRefusal&) {  // the mark may stand inside the text of an argument
    }
    end += end_mark.size();
  }
  if (options.valid_calls) partial.calls = begun(text.substr(inside, text.size() - held_back(text, end_mark) - inside));
  return partial;
}

// `begun` for JSON: what is certain of calls as json_calls() reads them.
std::vector<ToolCall> partial_json_calls(std::string_view text);
// What is certain of an object that is still being written, compactly; "" while it has not begun.
std::string partial_json_object(std::string_view text);

// {"name": ..., "arguments": {...}} or a list of such, in the shapes that models give it: perhaps inside
// {"function": ...}; "parameters" are arguments too; they may be a string that holds the object, as the OpenAI API has
// it, or be left out. Throws CallRefusal.
std::vector<ToolCall> json_calls(std::string_view text);

// Calls without marks: `text` is nothing but their JSON, one after the other, perhaps with ; between, and calls
// functions of `tools` alone. Throws CallRefusal.
std::vector<ToolCall> bare_calls(std::string_view text, std::string_view tools);

// [{"name": ..., "arguments": {...}}, ...]
std::string calls_text(const std::vector<ToolCall>& calls);

// The object that `text` is, written compactly; "{}" for white space. Throws CallRefusal.
std::string json_arguments(std::string_view text);

// Names and values of a JSON object, the latter compact. Throws CallRefusal where it is none.
std::vector<std::pair<std::string, std::string>> json_members(std::string_view json);

// Any JSON, written compactly; nothing where it is none.
std::optional<std::string> compact_json(std::string_view text);

std::string_view trimmed(std::string_view text);  // without white space at both ends

}  // namespace fieldprint
