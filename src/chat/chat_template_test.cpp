#include "fieldprint/chat_template.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>
#include <vector>

#include "fieldprint/error.h"
#include "support/cpu_time.h"
#include "support/paths.h"

namespace fieldprint {
namespace {

using nlohmann::ordered_json;

std::time_t march_2026() {
  std::tm parts{};
  parts.tm_year = 2026 - 1900, parts.tm_mon = 2, parts.tm_mday = 9;
  parts.tm_hour = 14, parts.tm_min = 5, parts.tm_sec = 7, parts.tm_isdst = -1;
  return std::mktime(&parts);
}

std::string render(const std::string& source, const std::string& variables = "{}") {
  RenderOptions options;
  options.now = march_2026();
  return ChatTemplate(source).render(variables, options);
}

// The table holds what Jinja2 3.1 gives under Transformers' settings, but for the wording of a few syntax errors.
TEST(ChatTemplate, TableOfTemplates) {
  std::ifstream table(golden_dir() / "jinja_cases.jsonl");
  ASSERT_TRUE(table.is_open());
  int cases = 0;
  for (std::string line; std::getline(table, line); ++cases) {
    const auto test = ordered_json::parse(line);
    const std::string source = test["template"];
    try {
      const std::string output = render(source, test["variables"].dump());
      ASSERT_TRUE(test.contains("output")) << source << "\n  gives " << output << "\n  not the error " << test["error"];
      EXPECT_EQ(output, test["output"].get<std::string>()) << source;
    } catch (const Error& error) {
      ASSERT_TRUE(test.contains("error")) << source << "\n  " << error.what();
      const std::string message = error.what(), wanted = test["error"];
      EXPECT_TRUE(message == wanted || message.ends_with(": " + wanted))
          << source << "\n  " << wanted << "\n  " << message;
    }
  }
  EXPECT_GE(cases, 200);
}

TEST(ChatTemplate, StrictNamesWhatIsNotThere) {
  RenderOptions strict;
  strict.strict = true;
  const std::string variables = R"({"a": {"b": 1}})";
  for (const char* source : {"{{ x }}", "{{ x | upper }}", "{{ 'a' ~ x }}", "{% for y in x %}{% endfor %}", "{{ a.x }}",
                             "{{ a['x'] }}", "{% set y %}{{ x }}{% endset %}", "{{ [a, x] | join }}"}) {
    try {
      ADD_FAILURE() << source << ": " << ChatTemplate(source).render(variables, strict);
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find("'x'"), std::string::npos) << error.what();
    }
  }
  for (const char* source :
       {"{% if x %}{{ x }}{% endif %}", "{{ x | default('') }}", "{% if x is defined %}{{ x }}{% endif %}",
        "{{ 'n' if x }}", "{% set x = '' %}{{ x }}", "{% macro m(p='') %}{{ p }}{% endmacro %}{{ m() }}"})
    EXPECT_EQ(ChatTemplate(source).render(variables, strict), "") << source;
}

TEST(ChatTemplate, ErrorsNameTheirLine) {
  try {
    render("a\n{% if x %}\n{% endif %}\n{{ y.z }}\n");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kBadInput);
    EXPECT_STREQ(error.what(), "chat template, line 4: 'y' is undefined");
  }
  EXPECT_THROW(ChatTemplate("a\n{% nope %}"), Error);
  EXPECT_THROW(ChatTemplate("\xff"), Error);
}

TEST(ChatTemplate, RaisedMessageIsUnaltered) {
  try {
    render("\n\n{{ raise_exception('Roles must alternate') }}");
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "Roles must alternate");
  }
}

TEST(ChatTemplate, VariablesMustBeAnObject) {
  for (const char* variables : {"", "[]", "{", "{\"a\": nul}", "{\"a\": \"\xff\"}", "3"}) {
    EXPECT_THROW(render("x", variables), Error) << variables;
  }
  EXPECT_EQ(render("{{ a }}{{ n }}", R"({"a": 1, "a": 2, "n": 123456789012345678901234567890})"),
            "2123456789012345678901234567890");
}

TEST(ChatTemplate, RendersFromManyThreadsAlike) {
  const std::string source = "{% for m in l %}{{ m|upper }}{{ 'é' ~ loop.index ~ 'x'[0] }}{% endfor %}";
  const ChatTemplate chat(source);
  EXPECT_EQ(chat.source(), source);
  std::vector<std::string> outputs(4);
  std::vector<std::thread> threads;
  for (std::string& output : outputs) {
    threads.emplace_back([&] {
      for (int i = 0; i < 100; ++i) output = chat.render(R"({"l": ["a", "b"]})");
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::string& output : outputs) EXPECT_EQ(output, "Aé1xBé2x");
}

// Templates from strangers: each of these must fail, and soon.
TEST(ChatTemplateBounds, HostileTemplatesFailSoon) {
  const auto many = [](const std::string& text, int n) {
    std::string out;
    for (int i = 0; i < n; ++i) out += text;
    return out;
  };
  const auto numbered = [](const std::string& pattern, int n) {
    std::string out;
    for (int i = 0; i < n; ++i) out += fmt::format(fmt::runtime(pattern), i) + ",";
    return out;
  };
  const std::vector<std::string> hostile = {
      "{{ " + many("(", 100'000) + "1" + many(")", 100'000) + " }}",
      "{{ " + many("[", 100'000) + many("]", 100'000) + " }}",
      "{{ " + many("-", 100'000) + "1 }}",
      "{{ " + many("not ", 100'000) + "1 }}",
      "{{ x" + many(" + 1", 100'000) + " }}",
      "{{ x" + many("|upper", 100'000) + " }}",
      "{{ x" + many(".a", 100'000) + " }}",
      "{{ x" + many("[0", 100'000) + " }}",
      "{{ 1" + many(" if 1 else 1", 100'000) + " }}",
      many("{% if 1 %}", 100'000),
      many("{% for x in y %}", 10'000) + many("{% endfor %}", 10'000),
      "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
      "{% macro f(x) %}{{ f([x, x]) }}{% endmacro %}{{ f(1) }}",
      "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}",
      "{{ 'a' * 10**9 }}",
      "{{ 'a' * 10**18 }}",
      "{{ [1] * 10**10 }}",
      "{{ range(10**9) }}",
      "{{ 10 ** 100 }}",
      "{{ 2 ** 10**18 }}",
      "{{ 9223372036854775807 + 1 }}",
      "{{ (-9223372036854775807 - 1) // -1 }}",
      "{{ 'a'.center(10**12) }}",
      "{{ '%999999999d' % 1 }}",
      "{{ '{:999999999}'.format(1) }}",
      "{{ ('a' * 100000).replace('', 'b' * 100000) }}",
      "{{ ('a,' * 100000)|replace(',', 'b' * 100000) }}",
      "{% set ns = namespace(s='ab') %}{% for i in range(1000) %}{% set ns.s = ns.s + ns.s %}{% endfor %}",
      "{% set ns = namespace(l=[]) %}{% for i in range(100) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l }}",
      "{% set ns = namespace(l=[]) %}{% for i in range(100) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l|tojson "
      "}}",
      "{% set ns = namespace(l=[]) %}{% for i in range(90000) %}{% set ns.l = [ns.l] %}{% endfor %}{{ ns.l == [ns.l] "
      "}}",
      "{% set ns = namespace() %}{% set ns.a = ns %}{{ ns }}",
      "{% for a in range(90000) %}{% for b in range(90000) %}{% endfor %}{% endfor %}",
      "{% for a in range(90000) %}{{ 'b' in 'a' * 100000 }}{% endfor %}",
      "{% set s = 'é' * 100000 %}{% for a in range(100000) %}{{ s[a] }}{% endfor %}{{ s[::-1] * 100000 }}",
      "{% set s = 'x' * 100000 %}{% for a in range(90000) %}{{ s }}{% endfor %}",
      "{{ [1]|batch(10**9, 0)|list }}",
      "{{ [1]|slice(10**9)|list }}",
      "{{ 'a\nb'|indent(10**9) }}",
      "{{ x|tojson(indent=10**9) }}",
      "{{ 'a\t'.expandtabs(10**9) }}",
      "{% for i in range(90000) %}{{ ('a' * 1000000).find('a' * 500000 + 'b') }}{% endfor %}",
      "{% for i in range(90000) %}{{ ('a' * 1000000).rsplit('b' + 'a' * 500000) }}{% endfor %}",
      "{% set s = 'a' * 1000000 %}{% for i in range(90000) %}{{ s.removeprefix(s) }}{% endfor %}"
      "{% for i in range(90000) %}{{ 'b'.strip(s) }}{{ d[s] }}{% endfor %}",
      "{% macro m(" + numbered("p{}", 100'000) + "z) %}{% endmacro %}",
      "{{ f(" + numbered("p{}=1", 100'000) + ") }}",
  };
  RenderOptions options;
  options.max_steps /= 10;  // the default takes ten times as long, up to a second or two
  for (const std::string& source : hostile) {
    const double start = cpu_seconds();
    EXPECT_THROW(ChatTemplate(source).render(R"({"x": [1], "y": [1]})", options), Error) << source.substr(0, 100);
    const double seconds = cpu_seconds() - start;
    EXPECT_LT(seconds, 10) << source.substr(0, 100);  // sanitizers included
  }
}

TEST(ChatTemplateBounds, DeepVariablesFail) {
  EXPECT_THROW(render("{{ a }}", "{\"a\":" + std::string(100'000, '[') + std::string(100'000, ']') + "}"), Error);
}

TEST(ChatTemplateBounds, OptionsAreKept) {
  const ChatTemplate chat("{% for i in range(1000) %}{{ 'abcdefgh' * 10 }}{% endfor %}");
  RenderOptions few_steps, few_bytes;
  few_steps.max_steps = 500;
  few_bytes.max_bytes = 10'000;
  for (const RenderOptions& options : {few_steps, few_bytes}) {
    try {
      chat.render("{}", options);
      FAIL();
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kLimit);
    }
  }
  EXPECT_EQ(chat.render("{}").size(), 80'000u);
}

// 10,000 messages, 10 MB, gathered piece by piece: time and memory stay linear.
TEST(ChatTemplateBounds, LongConversationsAreFine) {
  ordered_json variables = {{"messages", ordered_json::array()}};
  for (int i = 0; i < 10'000; ++i) {
    variables["messages"].push_back(
        {{"role", i % 2 ? "assistant" : "user"}, {"content", std::string(1000, 'a') + "é"}});
  }
  const std::string source =
      "{% set ns = namespace(text='', seen=[]) %}{% for m in messages %}"
      "{% set ns.text = ns.text ~ '<' ~ m.role ~ '>' + m.content|trim + '\\n' %}{% set ns.seen = ns.seen + [m.role] %}"
      "{% endfor %}{{ ns.text }}{{ ns.seen|length }}";
  const double start = cpu_seconds();
  const std::string text = render(source, variables.dump());
  const double seconds = cpu_seconds() - start;
  EXPECT_GT(text.size(), 10'000'000u);
  EXPECT_TRUE(text.ends_with("10000"));
  EXPECT_LT(seconds, 20);  // 0.1 s in a release build
}

}  // namespace
}  // namespace fieldprint
