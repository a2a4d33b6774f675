// The functions every template finds: Jinja's, and the two that Transformers adds.
#include <fmt/format.h>

#include <algorithm>
#include <ctime>

#include "jinja/builtins.h"
#include "jinja/repr.h"

namespace fieldprint::jinja {
namespace {

constexpr int64_t kMaxRange = 100'000;  // the sandbox's

Value range(Runtime& rt, const Args& args) {
  if (!args.keywords.empty()) fail("range() takes no keyword arguments");
  const size_t n = args.positional.size();
  if (n == 0) fail("range expected at least 1 argument, got 0");
  if (n > 3) fail(fmt::format("range expected at most 3 arguments, got {}", n));
  for (const Value& v : args.positional) {
    to_index(v);
  }
  const int64_t start = n > 1 ? to_index(args.positional[0]) : 0;
  const int64_t stop = to_index(args.positional[n > 1 ? 1 : 0]);
  const int64_t step = n > 2 ? to_index(args.positional[2]) : 1;
  if (step == 0) fail("range() arg 3 must not be zero");
  uint64_t size = 0;  // in unsigned arithmetic, which cannot overflow here
  const auto distance = [](int64_t from, int64_t to) {
    return static_cast<uint64_t>(to) - static_cast<uint64_t>(from);
  };
  if (step > 0 && start < stop) size = (distance(start, stop) - 1) / static_cast<uint64_t>(step) + 1;
  if (step < 0 && stop < start) size = (distance(stop, start) - 1) / (0 - static_cast<uint64_t>(step)) + 1;
  if (size > kMaxRange) {
    fail(fmt::format("Range too big. The sandbox blocks ranges larger than MAX_RANGE ({}).", kMaxRange));
  }
  return rt.heap.make<Range>(start, stop, step, static_cast<int64_t>(size));
}

// dict(mapping or pairs, **named)
Dict* make_dict(Runtime& rt, const Args& args) {
  if (args.positional.size() > 1) fail(fmt::format("dict expected at most 1 argument, got {}", args.positional.size()));
  Dict* dict = rt.heap.make<Dict>(rt.heap);
  for (const Value& source : args.positional) {
    if (source.is(Kind::kDict)) {
      rt.heap.step(source.dict().entries.size());
      for (const auto& [key, value] : source.dict().entries) dict->set(key, value);
      continue;
    }
    if (source.is_undefined()) fail_undefined(rt.heap, source);
    const auto items = collect(rt.heap, source);
    for (size_t i = 0; i < items.size(); ++i) {
      rt.heap.step();
      const auto pair = collect(rt.heap, items[i]);
      if (pair.size() != 2) {
        fail(fmt::format("dictionary update sequence element #{} has length {}; 2 is required", i, pair.size()));
      }
      dict->set(pair[0], pair[1]);
    }
  }
  rt.heap.step(args.keywords.size());
  for (const Keyword& keyword : args.keywords) dict->set(make_string(rt.heap, keyword.name), keyword.value);
  return dict;
}

Value dict(Runtime& rt, const Args& args) { return make_dict(rt, args); }

Value make_namespace(Runtime& rt, const Args& args) { return rt.heap.make<Namespace>(make_dict(rt, args)); }

Value cycler(Runtime& rt, const Args& args) {
  if (args.positional.empty()) fail("at least one item has to be provided");
  return rt.heap.make<Cycler>(args.positional);
}

Value joiner(Runtime& rt, const Args& args) {
  const auto [separator] = bind("joiner", args, {"sep"});
  return rt.heap.make<Joiner>(separator.is_missing() ? make_literal(rt.heap, ", ") : separator);
}

Value raise_exception(Runtime& rt, const Args& args) {
  const auto [message] = bind("raise_exception", args, {"message"}, 1);
  throw Failure(std::string(to_str(rt.heap, message).view()), true);
}

Value strftime_now(Runtime& rt, const Args& args) {
  const auto [format] = bind("strftime_now", args, {"format"}, 1);
  if (!format.is_string()) fail(fmt::format("strftime() argument 1 must be str, not {}", type_name(format)));
  if (format.str().size > 4096) fail("the format of strftime_now() is too long");
  rt.heap.step(format.str().size / 2);
  std::tm parts{};
  localtime_r(&rt.now, &parts);
  // A mark at the end tells an empty result from a buffer that is too small.
  const std::string pattern = std::string(format.str().view()) + '.';
  std::string text(256, '\0');
  size_t size = 0;
  while ((size = std::strftime(text.data(), text.size(), pattern.c_str(), &parts)) == 0) {
    if (text.size() > (1u << 20)) fail("the result of strftime_now() is too long");
    text.resize(text.size() * 4);
  }
  return make_literal(rt.heap, std::string_view(text).substr(0, size - 1));
}

constexpr Function kGlobals[] = {
    {"range", range},
    {"dict", dict},
    {"namespace", make_namespace},
    {"cycler", cycler},
    {"joiner", joiner},
    {"raise_exception", raise_exception},
    {"strftime_now", strftime_now},
};

}  // namespace

const Function* find_global(std::string_view name) {
  const auto entry =
      std::find_if(std::begin(kGlobals), std::end(kGlobals), [&](const Function& f) { return f.name == name; });
  return entry == std::end(kGlobals) ? nullptr : entry;
}

}  // namespace fieldprint::jinja
