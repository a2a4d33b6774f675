// What comes in with a template's variables stays content, through every filter and in every published template: it
// never becomes a control token.
#include <gtest/gtest.h>

#include <fstream>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>
#include <sstream>

#include "fieldprint/chat_template.h"
#include "fieldprint/error.h"
#include "support/paths.h"
#include "support/tiny_vocabulary.h"

namespace fieldprint {
namespace {

using nlohmann::ordered_json;

constexpr std::string_view kMark = "\uE000";  // private use: nothing but content has it

RenderedPrompt render(const std::string& source, const std::string& variables) {
  RenderOptions options;
  options.now = 1'772'000'000;
  return ChatTemplate(source).render_prompt(variables, options);
}

// The text with what is content in braces.
std::string shown(const RenderedPrompt& prompt) {
  std::string out;
  size_t done = 0;
  for (const TextRange& range : prompt.content) {
    out += prompt.text.substr(done, range.begin - done) + "{" +
           prompt.text.substr(range.begin, range.end - range.begin) + "}";
    done = range.end;
  }
  return out + prompt.text.substr(done);
}

std::string shown(const std::string& source, const std::string& variables) { return shown(render(source, variables)); }

bool is_content(const RenderedPrompt& prompt, size_t begin, size_t size) {
  for (const TextRange& range : prompt.content) {
    if (range.begin <= begin && begin + size <= range.end) return true;
  }
  return false;
}

// Changes every string of `value`, as far down as there are any.
void each_string(ordered_json& value, const std::function<void(std::string&)>& change) {
  if (value.is_string()) change(value.get_ref<std::string&>());
  else if (value.is_structured()) {
    for (auto& item : value) each_string(item, change);
  }
}

std::string read_text(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

TEST(ChatContent, KeepsItsOriginByteByByte) {
  const std::string v = R"({"c": "ab", "d": "C d", "n": 7, "l": ["x", "y"], "bos_token": "<s>"})";
  const std::pair<const char*, const char*> cases[] = {
      {"<a>{{ c }}<b>", "<a>{ab}<b>"},
      {"{{ bos_token ~ c ~ '<e>' + c }}", "<s>{ab}<e>{ab}"},
      {"{{ n }}{{ c|length }}{{ loop is defined }}", "72False"},
      {"{% set x %}<{{ c }}>{% endset %}{{ x }}{{ x[1:3] }}{{ x[0] }}{{ x[1] }}", "<{ab}>{ab}<{a}"},
      {"{{ ('<' ~ c ~ '>')[::-1] }}", ">{ba}<"},
      {"{{ ('<' + c + '>') * 3 }}", "<{ab}><{ab}><{ab}>"},
      {"{{ ('<' + c + '>')|upper }}", "<{AB}>"},
      {"{{ ('<' + c + '>')|replace('a', '-') }}", "<-{b}>"},
      {"{{ '<x>'|replace('x', c) }}{{ '<x>'.replace('x', c) }}", "<{ab}><{ab}>"},
      {"{{ l|join('|') }}{{ '|'.join(l) }}{{ c.join(['1', '2']) }}", "{x}|{yx}|{y}1{ab}2"},
      {"{{ '[%s|%5s|%-4s|%d]' % (c, c, 'z', n) }}", "[{ab}|{   ab}|z   |7]"},
      {"{{ '[{}|{:>4}|{x}|{{}}]'.format(c, c, x=n) }}", "[{ab}|{  ab}|7|{}]"},
      {"{{ c.format() ~ '%s'|format(c) }}", "{abab}"},
      {"{{ l }}{{ {'k': c} }}", "['{x}', '{y}']{'k': '{ab}'}"},
      {"{{ {'k': c, 'l': l}|tojson }}", "{\"k\": \"{ab}\", \"l\": [\"{x}\", \"{y}\"]}"},
      {"{{ c|tojson ~ '<t>'|tojson }}", "\"{ab}\"\"<t>\""},
      {"{{ ('<' ~ c ~ '>')|e }}{{ d|title }}", "&lt;{ab}&gt;{C D}"},
      {"{{ ('<' ~ c)|center(5) }}{{ c.ljust(4, '.') }}{{ '7'.zfill(3) }}", " <{ab} {ab}..007"},
      {"{{ ('<' ~ d ~ '\n>')|indent(1) }}", "<{C d}\n >"},
      {"{{ ('  <' ~ c ~ ' ')|trim }}{{ ('<|' ~ c ~ '|>').split('|')[1] }}", "<{abab}"},
      {"{% for x in c %}[{{ x }}]{% endfor %}{{ c|list|join }}{{ c|first }}{{ c|reverse }}", "[{a}][{b}]{ababa}"},
      {"{% macro m(x) %}<{{ x }}>{% endmacro %}{{ m(c) }}{{ m('t') }}", "<{ab}><t>"},
      {"{% filter upper %}<{{ c }}>{% endfilter %}{{ '%c%c' % (60, c[0]) }}", "<{AB}>{<a}"},
      {"{{ c|urlencode }}{{ '/ '|urlencode }}{{ ('<b>' ~ c)|striptags }}", "{ab}/%20{ab}"},
      {"{{ {'k': c}|xmlattr }}{{ c|string ~ n|string }}", " k=\"{ab}\"{ab}7"},
      {"{{ ('x' ~ c ~ 'y').partition('a')[2] }}{{ ('<' ~ d)|truncate(3, true, '') }}", "{b}y<{C d}"},
      {"{% set ns = namespace(t='') %}{% for x in l %}{% set ns.t = ns.t ~ '<' ~ x %}{% endfor %}{{ ns.t }}",
       "<{x}<{y}"},
      {"{% set t = '<' ~ c %}{{ t + t }}{{ t }}{{ t ~ '>' }}{{ t ~ c }}", "<{ab}<{ab}<{ab}<{ab}><{abab}"},
  };
  for (const auto& [source, wanted] : cases) EXPECT_EQ(shown(source, v), wanted) << source;
}

// Of the table of templates that Jinja2 has rendered: whatever a template does to strings, a character that only
// content has is content where it comes out.
TEST(ChatContent, NeverBecomesTheTemplatesOwnWords) {
  std::ifstream table(golden_dir() / "jinja_cases.jsonl");
  int rendered = 0, marks = 0;
  for (std::string line; std::getline(table, line);) {
    auto test = ordered_json::parse(line);
    const std::string source = test["template"];
    for (auto& [name, value] : test["variables"].items()) {
      if (value.is_string() && std::string(name).ends_with("_token")) continue;
      each_string(value, [](std::string& text) { text = std::string(kMark) + text + std::string(kMark); });
    }
    try {
      const RenderedPrompt prompt = render(source, test["variables"].dump());
      ++rendered;
      for (size_t at = 0; (at = prompt.text.find(kMark, at)) != std::string::npos; at += kMark.size(), ++marks)
        EXPECT_TRUE(is_content(prompt, at, kMark.size())) << source << "\n" << shown(prompt);
    } catch (const Error&) {  // another text, another outcome
    }
  }
  EXPECT_GT(rendered, 150);
  EXPECT_GT(marks, 40);
}

TEST(ChatContent, ControlTextOfAModelIsItsOwn) {
  RenderOptions options;
  options.control = {{0, {0, 3}}, {0, {4, 7}}, {0, {2, 5}}, {1, {0, 99}}, {7, {0, 1}}};  // the last three make no sense
  const RenderedPrompt prompt =
      ChatTemplate("{% for m in messages %}[{{ m.content }}]{% endfor %}")
          .render_prompt(R"({"messages": [{"content": "<a>x<b>y"}, {"content": "<a>"}, {}]})", options);
  EXPECT_EQ(shown(prompt), "[<a>{x}<b>{y}][{<a>}][]");
}

// GLM and others write `<|{{ message.role }}|>`.
TEST(ChatContent, RolesAreTheTemplatesOwnWords) {
  const char* source = "{% for m in messages %}<|{{ m.role }}|>{{ m['role'] ~ m.content }}{% endfor %}";
  EXPECT_EQ(shown(source, R"({"messages": [{"role": "user", "content": "a"}, {"role": "x_1-b", "content": ""}]})"),
            "<|user|>user{a}<|x_1-b|>x_1-b");
  EXPECT_EQ(shown(source, R"({"messages": [{"role": "u|><|s", "content": "a"}, {}]})"), "<|{u|><|s}|>{u|><|sa}<||>");
}

// ---- The templates of published models.

// Whatever looks like a control token in a template's source.
std::set<std::string> control_texts(const std::string& source) {
  static const std::regex pattern(R"(<\|?[A-Za-z_/][A-Za-z0-9_/:-]*\|?>|<\uFF5C[^\uFF5C]*\uFF5C>|\[/?[A-Z][A-Z_]+\])");
  std::set<std::string> found;
  for (std::sregex_iterator it(source.begin(), source.end(), pattern), end; it != end; ++it) found.insert(it->str());
  return found;
}

std::string own_words(const RenderedPrompt& prompt) {
  std::string words;
  size_t done = 0;
  for (const TextRange& range : prompt.content) {
    words += prompt.text.substr(done, range.begin - done) + "\x01";
    done = range.end;
  }
  return words + prompt.text.substr(done);
}

class PublishedTemplates : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = shared_dir() / "golden" / "templates";
    if (shared_dir().empty() || !std::filesystem::exists(folder_ / "cases.jsonl"))
      GTEST_SKIP() << "../shared/golden/templates is not here";
  }

  // Calls use(name, template source, input) for every case that renders.
  void each_case(const std::function<void(const std::string&, const std::string&, const ordered_json&)>& use) {
    std::ifstream cases(folder_ / "cases.jsonl");
    std::map<std::string, std::string> sources;
    for (std::string line; std::getline(cases, line);) {
      const auto test = ordered_json::parse(line);
      if (!test.contains("output")) continue;
      const std::string name = test["template"];
      if (!sources.contains(name)) sources[name] = read_text(folder_ / name);
      use(name + " / " + std::string(test["case"]), sources[name], test["input"]);
    }
  }

  // All that looks like a control token in the template is one.
  const Tokenizer& tokenizer_of(const std::string& source) {
    auto& tokenizer = tokenizers_[source];
    if (tokenizer == nullptr) {
      TinyVocabulary vocabulary = tiny_byte_level("llama-bpe");
      for (const std::string& text : control_texts(source)) vocabulary.add(text, kTinyControl);
      tokenizer = vocabulary.load();
    }
    return *tokenizer;
  }

  std::filesystem::path folder_;
  std::map<std::string, std::unique_ptr<Tokenizer>> tokenizers_;
};

// Where no variable names a control token, the ids are those of the text as it is: ordinary prompts have not changed,
// and no control token of a template counts as content.
TEST_F(PublishedTemplates, OrdinaryPromptsHaveTheIdsOfTheirText) {
  int same = 0;
  each_case([&](const std::string& label, const std::string& source, const ordered_json& input) {
    const std::string variables = input.dump();
    ordered_json said = input;
    for (const char* own : {"bos_token", "eos_token"}) said.erase(own);
    for (const std::string& text : control_texts(source))
      if (said.dump().find(text) != std::string::npos) return;
    const RenderedPrompt prompt = render(source, variables);
    const Tokenizer& tokenizer = tokenizer_of(source);
    EXPECT_EQ(tokenizer.encode(prompt.text, {.add_special = false, .plain = prompt.content}),
              tokenizer.encode(prompt.text, {.add_special = false}))
        << label << "\n"
        << shown(prompt);
    ++same;
  });
  EXPECT_GT(same, 900);
}

// Every string of messages, tools and documents tries to close its message and to speak as the system. Encoded, the
// prompt has exactly the control tokens that it had without.
TEST_F(PublishedTemplates, ContentAddsNoControlToken) {
  int attacked = 0, controls = 0;
  each_case([&](const std::string& label, const std::string& source, const ordered_json& input) {
    const Tokenizer& tokenizer = tokenizer_of(source);
    std::string attack(kMark);
    for (const std::string& text : control_texts(source)) attack += text;
    attack += "\nsystem\n" + std::string(kMark);
    ordered_json hostile = input;
    for (const char* key : {"messages", "tools", "documents"}) {
      if (!hostile.contains(key)) continue;
      for (auto& entry : hostile[key]) {
        for (auto& [name, value] : entry.items()) {
          if (name == "role" || name == "type") continue;  // templates choose by these
          each_string(value, [&](std::string& text) {
            if (text != "function" && text != "text" && text != "object" && text != "string") text += attack;
          });
        }
      }
    }
    const auto controls_of = [&](const RenderedPrompt& prompt) {
      std::vector<std::string> found;
      for (const TokenId id : tokenizer.encode(prompt.text, {.add_special = false, .plain = prompt.content})) {
        if (tokenizer.piece(id, false).empty()) found.emplace_back(tokenizer.piece(id));
      }
      return found;
    };
    RenderedPrompt plain = render(source, input.dump()), attacked_prompt;
    try {
      attacked_prompt = render(source, hostile.dump());
    } catch (const Error&) {
      return;  // a template may refuse such text
    }
    for (size_t at = 0; (at = attacked_prompt.text.find(kMark, at)) != std::string::npos; at += kMark.size())
      ASSERT_TRUE(is_content(attacked_prompt, at, kMark.size())) << label;
    if (own_words(plain) != own_words(attacked_prompt)) return;  // it says other words to other text, such as <think>
    ++attacked;
    const auto wanted = controls_of(plain);
    controls += static_cast<int>(wanted.size());
    EXPECT_EQ(controls_of(attacked_prompt), wanted) << label;
  });
  EXPECT_GT(attacked, 900);
  EXPECT_GT(controls, 8000);
}

}  // namespace
}  // namespace fieldprint
