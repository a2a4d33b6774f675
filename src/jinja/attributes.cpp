// What stands behind a dot or between brackets, and how calls fit their arguments.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "jinja/builtins.h"
#include "jinja/repr.h"
#include "jinja/unicode.h"

namespace fieldprint::jinja {
namespace {

Value unsafe_attribute(Heap& heap, Value object, std::string_view name) {
  return make_undefined(heap,
                        fmt::format("access to attribute '{}' of '{}' object is unsafe.", name, type_name(object)));
}

// What Python puts on every object: there, but not for templates.
bool is_internal(std::string_view name) {
  static constexpr std::string_view kNames[] = {
      "__class__", "__delattr__",      "__dir__",    "__doc__",  "__eq__",          "__format__",
      "__ge__",    "__getattribute__", "__gt__",     "__hash__", "__init__",        "__init_subclass__",
      "__le__",    "__lt__",           "__ne__",     "__new__",  "__reduce__",      "__reduce_ex__",
      "__repr__",  "__setattr__",      "__sizeof__", "__str__",  "__subclasshook__"};
  return std::find(std::begin(kNames), std::end(kNames), name) != std::end(kNames);
}

// The Python attribute of an object; missing where it has none.
Value find_attribute(Runtime& runtime, Value object, std::string_view name) {
  Heap& heap = runtime.heap;
  if (object.is(Kind::kNamespace)) {  // its attributes are the template's alone
    const Value* value = object.space().attributes->find(name);
    return value ? *value : Value();
  }
  if (const MethodEntry* method = find_method(object, name)) {
    if (!method->function) return unsafe_attribute(heap, object, name);
    return heap.make<BoundMethod>(method->name, object, method->function);
  }
  if (is_internal(name)) return unsafe_attribute(heap, object, name);
  switch (object.kind()) {
    case Kind::kLoop:
      return loop_attribute(runtime, object.loop(), name);
    case Kind::kTuple:
      if (object.items().is_group && name == "grouper") return object.items().data[0];
      if (object.items().is_group && name == "list") return object.items().data[1];
      return Value();
    case Kind::kRange:
      if (name == "start") return Value::integer(object.range().start);
      if (name == "stop") return Value::integer(object.range().stop);
      if (name == "step") return Value::integer(object.range().step);
      return Value();
    case Kind::kBool:
    case Kind::kInt:
      if (name == "real" || name == "numerator") return Value::integer(object.as_int());
      if (name == "imag") return Value::integer(0);
      if (name == "denominator") return Value::integer(1);
      return Value();
    case Kind::kMacro:
      if (name == "name") return make_literal(heap, object.macro().name);
      if (name == "arguments") {
        heap.visit(object.macro().statement->parameters.size());
        std::pmr::vector<Value> names(&heap);
        for (const NameExpr* parameter : object.macro().statement->parameters) names.push_back(parameter->name);
        return jinja::make_tuple(heap, names);
      }
      if (name == "catch_kwargs") return Value::boolean(object.macro().statement->uses_kwargs);
      if (name == "catch_varargs") return Value::boolean(object.macro().statement->uses_varargs);
      if (name == "caller") return Value::boolean(object.macro().statement->uses_caller);
      return Value();
    case Kind::kCycler:
      if (name == "current") return object.cycler().items[object.cycler().position];
      if (name == "pos") return Value::integer(static_cast<int64_t>(object.cycler().position));
      if (name == "items") return make_tuple(heap, object.cycler().items);
      return Value();
    case Kind::kJoiner:
      if (name == "sep") return object.joiner().separator;
      if (name == "used") return Value::boolean(object.joiner().used);
      return Value();
    default:
      return Value();
  }
}

// object[key] where Python has it; missing where it fails.
Value find_item(Runtime& runtime, Value object, Value key) {
  switch (object.kind()) {
    case Kind::kDict: {
      if (key.is_string() && !key.str().markup) {
        const Value* value = object.dict().find(key.str().view());
        return value ? *value : Value();
      }
      try {
        const Value* value = object.dict().find(key);
        return value ? *value : Value();
      } catch (const Failure&) {
        return Value();  // what cannot be hashed is no key
      }
    }
    case Kind::kString:
    case Kind::kList:
    case Kind::kTuple:
    case Kind::kRange: {
      if (!key.is_integral()) return Value();
      const int64_t size = *length_of(object), index = key.as_int() < 0 ? key.as_int() + size : key.as_int();
      if (index < 0 || index >= size) return Value();
      if (object.is_sequence()) return object.items().data[index];
      if (object.is(Kind::kRange)) return Value::integer(object.range().at(index));
      const String& text = object.str();
      size_t pos = static_cast<size_t>(index);
      if (!text.ascii()) {
        runtime.heap.scan(text.size);
        pos = advance_code_points(text.view(), 0, pos);
      }
      return make_character(runtime.heap, text, pos);
    }
    default:
      return Value();
  }
}

}  // namespace

Value get_attribute(Runtime& runtime, Value object, Value name) {
  runtime.heap.scan(name.str().size);
  if (object.is_undefined()) fail_undefined(runtime.heap, object);
  Value value = find_attribute(runtime, object, name.str().view());
  if (value.is_missing()) value = find_item(runtime, object, name);
  return value.is_missing() ? make_undefined(runtime.heap, object, name) : value;
}

Value get_item(Runtime& runtime, Value object, Value key) {
  if (key.is_string()) runtime.heap.scan(key.str().size);
  if (object.is_undefined()) fail_undefined(runtime.heap, object);
  Value value = find_item(runtime, object, key);
  if (value.is_missing() && key.is_string()) value = find_attribute(runtime, object, key.str().view());
  return value.is_missing() ? make_undefined(runtime.heap, object, key) : value;
}

AttributePath::AttributePath(Runtime& runtime, Value path) : runtime_(runtime), parts_(&runtime.heap) {
  if (path.is_missing() || path.is_none()) return;
  if (!path.is_string()) {
    parts_.push_back(path);
    return;
  }
  runtime.heap.step(path.str().size / 8);
  std::string_view rest = path.str().view();
  while (true) {
    const size_t dot = rest.find('.');
    const std::string_view part = rest.substr(0, dot);
    int64_t index = 0;
    const bool number = !part.empty() && part.find_first_not_of("0123456789") == part.npos &&
                        std::from_chars(part.data(), part.data() + part.size(), index).ec == std::errc();
    parts_.push_back(number ? Value::integer(index) : make_string(runtime.heap, part));
    if (dot == rest.npos) return;
    rest.remove_prefix(dot + 1);
  }
}

Value AttributePath::follow(Value item, Value fallback) const {
  for (const Value& part : parts_) {
    runtime_.heap.step();
    item = get_item(runtime_, item, part);
    if (item.is_undefined() && !fallback.is_missing() && !fallback.is_none()) item = fallback;
  }
  return item;
}

void bind(std::string_view function, const Args& args, std::span<const char* const> names, size_t required,
          std::span<Value> out) {
  if (args.positional.size() > names.size()) {
    fail(fmt::format("{}() takes at most {} argument{} ({} given)", function, names.size(),
                     names.size() == 1 ? "" : "s", args.positional.size()));
  }
  std::copy(args.positional.begin(), args.positional.end(), out.begin());
  for (const Keyword& keyword : args.keywords) {
    const auto name = std::find(names.begin(), names.end(), keyword.name);
    if (name == names.end()) {
      fail(fmt::format("{}() got an unexpected keyword argument '{}'", function, keyword.name));
    }
    Value& place = out[static_cast<size_t>(name - names.begin())];
    if (!place.is_missing()) fail(fmt::format("{}() got multiple values for argument '{}'", function, keyword.name));
    place = keyword.value;
  }
  for (size_t i = 0; i < required; ++i) {
    if (out[i].is_missing()) fail(fmt::format("{}() missing 1 required positional argument: '{}'", function, names[i]));
  }
}

void expect_no_arguments(std::string_view function, const Args& args) {
  if (!args.positional.empty() || !args.keywords.empty()) fail(fmt::format("{}() takes no arguments", function));
}

}  // namespace fieldprint::jinja
