// What is certain of JSON that is still being written: cut where a value is whole or a string may be cut, and closed.
#include "chat/tool_format.h"

namespace fieldprint {
namespace {

// The beginning of a JSON text that makes sense once `closers` follow.
struct Cut {
  size_t size = 0;
  std::string closers;            // a " perhaps, then } and ] from the inside out
  std::vector<std::string> keys;  // of each open object the member that it is in; of a list ""
};

class Scanner {
 public:
  Cut cut(std::string_view text) {
    Cut best;
    bool key = false;  // the next string in this object is a name
    for (size_t i = 0; i < text.size();) {
      const char c = text[i];
      if (c == '"') {
        const bool is_key = key && !open_.empty() && open_.back() == '}';
        const size_t begin = ++i;
        std::string pending;  // of a surrogate pair whose second half is to come
        bool closed = false, high = false;
        if (!is_key) best = at(i, "\"");
        while (i < text.size()) {
          if (text[i] == '"') {
            closed = true;
            break;
          }
          size_t length = 1;
          if (text[i] == '\\') {
            if (i + 1 >= text.size()) return best;
            length = text[i + 1] == 'u' ? 6 : 2;
            if (i + length > text.size()) return best;
            const bool unicode = length == 6;
            const char first = unicode ? text[i + 2] : '0', second = unicode ? text[i + 3] : '0';
            high = !high && (first == 'd' || first == 'D') &&
                   (second == '8' || second == '9' || second == 'a' || second == 'b' || second == 'A' || second == 'B');
          } else {
            const auto byte = static_cast<unsigned char>(text[i]);
            length = byte < 0x80 ? 1 : byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4;
            if (i + length > text.size()) return best;
            high = false;
          }
          i += length;
          if (!is_key && !high) best = at(i, "\"");
        }
        if (!closed) return best;
        if (is_key) keys_.back() = text.substr(begin, i - begin), key = false;
        ++i;
        if (!is_key) best = at(i, "");
      } else if (c == '{' || c == '[') {
        open_ += c == '{' ? '}' : ']';
        keys_.emplace_back();
        key = c == '{';
        best = at(++i, "");
      } else if (c == '}' || c == ']') {
        if (open_.empty() || open_.back() != c) return best;
        open_.pop_back();
        keys_.pop_back();
        key = false;
        best = at(++i, "");
        if (open_.empty()) return best;
      } else if (c == ',') {
        key = !open_.empty() && open_.back() == '}';
        ++i;
      } else if (c == ':' || c == ' ' || c == '\n' || c == '\t' || c == '\r') {
        ++i;
      } else {  // a number or a literal, which is whole where something follows it
        const size_t end = text.find_first_of(",]} \n\t\r", i);
        if (end == text.npos) return best;
        i = end;
        best = at(i, "");
      }
    }
    return best;
  }

 private:
  Cut at(size_t size, std::string closers) const {
    closers.append(open_.rbegin(), open_.rend());
    return {size, std::move(closers), keys_};
  }
  std::string open_;
  std::vector<std::string> keys_;
};

}  // namespace

std::string partial_json_object(std::string_view text) {
  const Cut cut = Scanner().cut(text);
  if (cut.size == 0) return {};
  auto whole = compact_json(std::string(text.substr(0, cut.size)) + cut.closers);
  if (!whole || !whole->starts_with('{')) return {};
  return whole->substr(0, whole->size() - cut.closers.size());
}

std::vector<ToolCall> partial_json_calls(std::string_view text) {
  const Cut cut = Scanner().cut(text);
  const size_t outer = trimmed(text).starts_with('[') ? 2 : 1;  // containers up to the object of a call
  if (cut.size == 0) return {};
  try {
    auto calls = json_calls(std::string(text.substr(0, cut.size)) + cut.closers);
    const size_t open = cut.keys.size();
    if (calls.empty() || open < outer) return calls;
    // The last call's object is open: are its arguments?
    const std::string& key = cut.keys[outer - 1];
    if (open == outer && cut.closers.starts_with('"')) {  // in the middle of its name, or of something else
      calls.pop_back();
      return calls;
    }
    std::string& arguments = calls.back().arguments;
    const bool inside = key == "arguments" || key == "parameters";
    if (open > outer && inside) arguments.resize(arguments.size() - (cut.closers.size() - outer));
    else if (!inside || arguments == "{}") arguments.clear();  // they are still to come
    return calls;
  } catch (const CallRefusal&) {
    return {};
  }
}

}  // namespace fieldprint
