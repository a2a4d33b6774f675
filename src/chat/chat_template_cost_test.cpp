// What every filter, test, method and operator costs: at least the length of what it works on. Each has a template here
// that would keep a computer busy for days if it did not, and must end soon in Error kLimit.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "fieldprint/chat_template.h"
#include "fieldprint/error.h"
#include "jinja/builtins.h"
#include "support/cpu_time.h"

namespace fieldprint {
namespace {

// Long values of every kind, made once.
constexpr const char* kValues =
    "{% set s = 'x' * 1000000 %}{% set u = 'é' * 300000 %}{% set w = 'ab ' * 200000 %}{% set c = '<\"' * 200000 %}"
    "{% set t = 'y' + s[1:] %}{% set r = s[1:] + 'y' %}"
    "{% set e = '\\x01' * 300000 %}{% set n = '1' * 1000000 %}{% set b = '1' * 4000 %}{% set big = b|int %}"
    "{% set l = range(50000)|list %}{% set m = range(50000)|list %}{% set k = [0] * 50000 %}{% set z = [''] * 50000 %}"
    "{% set p = [['', '']] * 50000 %}{% set lu = [u] %}{% set deep = 'a.' * 100000 %}"
    "{% set d = dict(k|map('string')|batch(2)) %}{% set f = '%.0s' * 1000 %}{% set v = (s,) * 1000 %}"
    "{% set g = '{0:.0}' * 1000 %}{% set lines = 'a\n' * 200000 %}{% set tabs = '\t' * 60000 %}"
    "{% set amp = '&' * 200000 %}{% set url = 'www.' + 'a.' * 100000 %}{% set one = {'a': 1} %}";

// One a line: what it is, then the expression.
const std::multimap<std::string, std::string> kHostile = {
    // Filters.
    {"filter abs", "big|abs"},
    {"filter attr", "one|attr(s)"},
    {"filter batch", "k|batch(50000)|list"},
    {"filter capitalize", "u|capitalize"},
    {"filter center", "s|center(1000001)"},
    {"filter count", "l|count"},
    {"filter d", "l|d(s)"},
    {"filter default", "l|default(s)"},
    {"filter dictsort", "dict(l|batch(2))|dictsort"},
    {"filter e", "c|e"},
    {"filter escape", "c|escape"},
    {"filter filesizeformat", "n|filesizeformat"},
    {"filter first", "s|first"},
    {"filter float", "n|float"},
    {"filter float", "s|float"},
    {"filter forceescape", "c|forceescape"},
    {"filter format", "f|format(*v)"},
    {"filter format", "'%.0r'|format(e)"},
    {"filter groupby", "p|groupby(0)"},
    {"filter indent", "lines|indent(0)"},
    {"filter int", "n|int(default=1)"},
    {"filter int", "b|int(0, 16)"},
    {"filter int", "s|int(1)"},
    {"filter items", "one|items"},
    {"filter join", "z|join"},
    {"filter join", "k|join(attribute='real')"},
    {"filter last", "u|last"},
    {"filter length", "l|length"},
    {"filter list", "l|list"},
    {"filter lower", "u|lower"},
    {"filter map", "z|map('length')|sum"},
    {"filter map", "k|map(attribute=deep, default=one)|list"},
    {"filter max", "k|max"},
    {"filter min", "z|min"},
    {"filter pprint", "l|pprint"},
    {"filter pprint", "w|pprint"},
    {"filter random", "u|random"},
    {"filter reject", "k|reject|list"},
    {"filter rejectattr", "k|rejectattr('real')|list"},
    {"filter replace", "s|replace('y', '')"},
    {"filter replace", "s|replace('xxxxxxxxxxxxxxxy', '')"},
    {"filter replace", "s|replace('', '')"},
    {"filter reverse", "l|reverse"},
    {"filter reverse", "u|reverse"},
    {"filter round", "big|round"},
    {"filter safe", "c|safe"},
    {"filter select", "k|select|list"},
    {"filter selectattr", "k|selectattr('real')|list"},
    {"filter slice", "k|slice(40000)|list"},
    {"filter sort", "k|sort"},
    {"filter sort", "lu|sort"},
    {"filter string", "l|string"},
    {"filter striptags", "amp|striptags"},
    {"filter striptags", "s|striptags"},
    {"filter sum", "k|sum"},
    {"filter title", "u|title"},
    {"filter tojson", "e|tojson"},
    {"filter tojson", "k|tojson(indent=1000)"},
    {"filter tojson", "k|tojson(separators=(s, s))"},
    {"filter trim", "u|trim('é')"},
    {"filter trim", "'x'|trim(u)"},
    {"filter truncate", "s|truncate(999990, end='')"},
    {"filter unique", "k|unique"},
    {"filter upper", "u|upper"},
    {"filter urlencode", "u|urlencode"},
    {"filter urlencode", "p|urlencode"},
    {"filter urlize", "s|urlize"},
    {"filter urlize", "url|urlize"},
    {"filter urlize", "('(' * 100000 + ')' * 100000)|urlize"},
    {"filter wordcount", "u|wordcount"},
    {"filter wordwrap", "s|wordwrap(1)"},
    {"filter wordwrap", "('a-' * 100000)|wordwrap(7)"},
    {"filter wordwrap", "u|wordwrap(2000000)"},
    {"filter xmlattr", "{s: ''}|xmlattr"},
    // Tests.
    {"test !=", "l is ne m"},
    {"test <", "l is lt(m)"},
    {"test <=", "l is le(m)"},
    {"test ==", "l is eq(m)"},
    {"test >", "l is gt(m)"},
    {"test >=", "l is ge(m)"},
    {"test boolean", "l is boolean"},
    {"test callable", "l is callable"},
    {"test defined", "l is defined"},
    {"test divisibleby", "big is divisibleby 3"},
    {"test eq", "l is eq m"},
    {"test equalto", "s is equalto(s + '')"},
    {"test escaped", "s is escaped"},
    {"test even", "7 is even"},
    {"test false", "s is false"},
    {"test filter", "s is filter"},
    {"test float", "s is float"},
    {"test ge", "l is ge m"},
    {"test greaterthan", "l is greaterthan m"},
    {"test gt", "l is gt m"},
    {"test in", "1 is in k"},
    {"test in", "'y' is in s"},
    {"test integer", "s is integer"},
    {"test iterable", "s is iterable"},
    {"test le", "l is le m"},
    {"test lessthan", "l is lessthan m"},
    {"test lower", "u is lower"},
    {"test lt", "l is lt m"},
    {"test mapping", "d is mapping"},
    {"test ne", "l is ne m"},
    {"test none", "s is none"},
    {"test number", "s is number"},
    {"test odd", "7 is odd"},
    {"test sameas", "t is sameas(t[:999999] + 'x')"},
    {"test sameas", "w is sameas(w)"},
    {"test sequence", "s is sequence"},
    {"test string", "s is string"},
    {"test test", "s is test"},
    {"test true", "s is true"},
    {"test undefined", "s is undefined"},
    {"test upper", "u is upper"},
    // Methods of str.
    {"str capitalize", "u.capitalize()"},
    {"str casefold", "u.casefold()"},
    {"str center", "s.center(1000001)"},
    {"str count", "s.count('y')"},
    {"str count", "s.count('x')"},
    {"str endswith", "s.endswith(r)"},
    {"str endswith", "s.endswith((r,) * 1000)"},
    {"str expandtabs", "tabs.expandtabs(0)"},
    {"str find", "s.find('xxxxxxxxxxxxxxxxxxxxxxxxxxxxxy')"},
    {"str find", "s.find(r)"},
    {"str format", "g.format(s)"},
    {"str format", "'{0!r:.0}'.format(e)"},
    {"str format", "s.format()"},
    {"str format_map", "'{a}'.format_map(one)"},
    {"str index", "r.index('y')"},
    {"str isalnum", "u.isalnum()"},
    {"str isalpha", "u.isalpha()"},
    {"str isascii", "s.isascii()"},
    {"str isdecimal", "n.isdecimal()"},
    {"str isdigit", "n.isdigit()"},
    {"str isidentifier", "u.isidentifier()"},
    {"str islower", "u.islower()"},
    {"str isnumeric", "n.isnumeric()"},
    {"str isprintable", "u.isprintable()"},
    {"str isspace", "(' ' * 1000000).isspace()"},
    {"str istitle", "u.istitle()"},
    {"str isupper", "u.isupper()"},
    {"str join", "''.join(z)"},
    {"str ljust", "s.ljust(1000001)"},
    {"str lower", "u.lower()"},
    {"str lstrip", "s.lstrip('x')"},
    {"str partition", "s.partition('xxxxxxxy')"},
    {"str removeprefix", "s.removeprefix(r)"},
    {"str removesuffix", "s.removesuffix(t)"},
    {"str replace", "s.replace('xxxxxxxy', '')"},
    {"str rfind", "s.rfind('yxxxxxxxxxxxxxxxxxxxxxxxxxx')"},
    {"str rindex", "t.rindex('y')"},
    {"str rjust", "s.rjust(1000001)"},
    {"str rpartition", "s.rpartition('yxxxxx')"},
    {"str rsplit", "s.rsplit('y')"},
    {"str rsplit", "w.rsplit()"},
    {"str rstrip", "u.rstrip('é')"},
    {"str split", "s.split('xxxxxxxxy')"},
    {"str split", "s.split('x', 1000)"},
    {"str splitlines", "s.splitlines()"},
    {"str startswith", "s.startswith(r)"},
    {"str strip", "s.strip('x')"},
    {"str swapcase", "u.swapcase()"},
    {"str title", "u.title()"},
    {"str upper", "u.upper()"},
    {"str zfill", "s.zfill(1000001)"},
    // Methods of others.
    {"list copy", "l.copy()"},
    {"list count", "k.count(1)"},
    {"list index", "l.index(49999)"},
    {"tuple count", "v.count(t)"},
    {"tuple index", "(v + (t,)).index(t)"},
    {"dict copy", "d.copy()"},
    {"dict get", "d.get(s)"},
    {"dict items", "d.items()"},
    {"dict keys", "d.keys() == d.keys()"},
    {"dict values", "d.values()|list"},
    {"float is_integer", "(1.5).is_integer()"},
    {"cycler next", "cycler(*l).next()"},
    {"cycler reset", "cycler(*l).reset()"},
    // Operators.
    {"operator +", "s + 'y'"},
    {"operator +", "l + m"},
    {"operator ~", "s ~ u"},
    {"operator ~", "l ~ ''"},
    {"operator *", "'xy' * 500000"},
    {"operator *", "k * 2"},
    {"operator %", "f % v"},
    {"operator %", "s % ()"},
    {"operator %", "'%(a)s' % one"},
    {"operator ==", "l == m"},
    {"operator ==", "k == k + []"},
    {"operator ==", "s == r"},
    {"operator ==", "one == {'a': s}"},
    {"operator ==", "dict(l|batch(2)) == dict(l|batch(2))"},
    {"operator !=", "l != m"},
    {"operator <", "l < m"},
    {"operator <=", "s <= r"},
    {"operator >", "k > k + []"},
    {"operator >=", "[l] >= [m]"},
    {"operator in", "'xxxxxxxxxxxxxxxxxxxxy' in s"},
    {"operator in", "-1 in l"},
    {"operator in", "s in one"},
    {"operator not in", "-1 not in l"},
    {"operator []", "u[250000]"},
    {"operator []", "one[s]"},
    {"operator [:]", "u[1:]"},
    {"operator [:]", "s[::2]"},
    {"operator [:]", "l[::-1]"},
    {"operator ()", "range(*l[1:3])"},
    {"operator ()", "dict(**dict(z|map('string')|batch(2)))"},
    {"operator ()", "namespace(**one)"},
    {"operator ()", "strftime_now('%Z' * 2000)"},
    {"operator ()", "joiner(s)"},
    {"operator .", "one." + std::string(200'000, 'x')},
};

void expect_limit(const std::string& name, const std::string& source) {
  RenderOptions options;
  options.max_steps = 1'500'000;  // the default takes thirteen times as long
  double seconds = 0;
  try {
    const ChatTemplate chat(source);
    const double start = cpu_seconds();
    try {
      chat.render("{}", options);
      ADD_FAILURE() << name << " ended";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kLimit) << name << ": " << error.what();
    }
    seconds = cpu_seconds() - start;
  } catch (const Error& error) {
    ADD_FAILURE() << name << ": " << error.what();
  }
  EXPECT_LT(seconds, 6) << name;  // sanitizers included; a release build takes less than a tenth of that
  if (std::getenv("FIELDPRINT_COSTS") != nullptr) fmt::print("{:8.3f} s  {}\n", seconds, name);
}

TEST(ChatTemplateCost, EveryOperationCostsItsLength) {
  for (const auto& [name, expression] : kHostile) {
    expect_limit(name + ": " + expression.substr(0, 60),
                 fmt::format("{}{{% for i in range(90000) %}}{{% for j in range(90000) %}}{{% if {} %}}{{% endif %}}"
                             "{{% endfor %}}{{% endfor %}}",
                             kValues, expression));
  }
}

TEST(ChatTemplateCost, StatementsCostTheirLength) {
  const auto numbered = [](const std::string& pattern, int n) {
    std::string out;
    for (int i = 0; i < n; ++i) out += fmt::format(fmt::runtime(pattern), i);
    return out;
  };
  const std::string loop = "{% for i in range(90000) %}{% for j in range(90000) %}", end = "{% endfor %}{% endfor %}";
  expect_limit("many targets", "{% set l = [[0] * 20000] %}" + loop + "{% for " + numbered("a{},", 20'000) +
                                   " in l %}{% endfor %}" + end);
  expect_limit("many slots", loop + "{% if j < 0 %}" + numbered("{{% set a{} = 1 %}}", 20'000) + "{% endif %}" + end);
  expect_limit("many variables of a macro", "{% macro m() %}{% if 0 %}" + numbered("{{% set a{} = 1 %}}", 20'000) +
                                                "{% endif %}{% endmacro %}" + loop + "{{ m() }}" + end);
  expect_limit("many arguments", "{% macro m() %}{% endmacro %}{% set l = range(50000)|list %}" + loop +
                                     "{{ m(*l[:0]) }}{{ cycler(*l).current }}" + end);
  expect_limit("a condition", "{% set l = [0] * 50000 %}" + loop + "{% for x in l if x %}{% endfor %}" + end);
  expect_limit("what is printed", "{% set s = 'x' * 100000 %}" + loop + "{{ s }}" + end);
  expect_limit("a block", loop + "{% set s %}" + std::string(100'000, 'x') + "{% endset %}" + end);
  expect_limit("text", loop + std::string(100'000, 'x') + end);
  expect_limit("nothing", loop + end);
}

// A row for each: what is new has one.
TEST(ChatTemplateCost, NothingIsForgotten) {
  std::set<std::string> rows;
  for (const auto& [name, expression] : kHostile) rows.insert(name);
  const auto expect_row = [&](const std::string& name) { EXPECT_TRUE(rows.contains(name)) << name << " has no row"; };
  for (const auto& filters : {jinja::text_filters(), jinja::number_filters(), jinja::sequence_filters()}) {
    for (const auto& filter : filters) expect_row("filter " + std::string(filter.name));
  }
  for (const auto& methods : {jinja::string_methods(), jinja::string_case_methods()}) {
    for (const auto& method : methods) expect_row("str " + std::string(method.name));
  }
  for (const auto& test : jinja::tests()) expect_row("test " + std::string(test.name));
}

}  // namespace
}  // namespace fieldprint
