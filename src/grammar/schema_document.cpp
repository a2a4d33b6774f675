#include "grammar/schema_document.h"

#include <fmt/format.h>

#include "base/json.h"
#include "fieldprint/error.h"

namespace fieldprint {
namespace {

std::string pointer_step(std::string_view step) {
  std::string escaped;
  for (const char c : step) escaped += c == '~' ? "~0" : c == '/' ? "~1" : std::string(1, c);
  return escaped;
}

// A step of a pointer in a reference: %25 first, then ~1 and ~0.
std::string unescaped(std::string_view step) {
  std::string plain, out;
  const auto hex = [](char c) { return c <= '9' ? c - '0' : (c | 32) - 'a' + 10; };
  for (size_t i = 0; i < step.size(); ++i) {
    if (step[i] == '%' && i + 2 < step.size() && std::isxdigit(static_cast<unsigned char>(step[i + 1])) != 0 &&
        std::isxdigit(static_cast<unsigned char>(step[i + 2])) != 0) {
      plain += static_cast<char>(hex(step[i + 1]) * 16 + hex(step[i + 2]));
      i += 2;
    } else {
      plain += step[i];
    }
  }
  for (size_t i = 0; i < plain.size(); ++i) {
    if (plain[i] == '~' && i + 1 < plain.size() && (plain[i + 1] == '0' || plain[i + 1] == '1'))
      out += plain[++i] == '0' ? '~' : '/';
    else out += plain[i];
  }
  return out;
}

bool is_schema(const Json& value) { return value.is_boolean() || value.is_object(); }

}  // namespace

SchemaDocument::SchemaDocument(std::string_view text)
    : root_(parse_ordered_json(text, "schema", {.max_bytes = 4 << 20})) {
  if (!is_schema(root_)) throw Error(ErrorKind::kBadInput, "a schema is an object, true or false", "schema");
  paths_[&root_] = "#";
  note(root_, "#", 0);
}

// Anchors may stand anywhere.
void SchemaDocument::note(const Json& value, const std::string& path, int depth) {
  if (!value.is_structured()) return;
  if (value.is_object()) {
    for (const char* key : {"$anchor", "$dynamicAnchor"})
      if (const auto found = value.find(key); found != value.end() && found->is_string())
        anchors_.emplace("#" + found->get<std::string>(), &value);
    for (const char* key : {"$id", "id"}) {
      if (const auto found = value.find(key); found != value.end() && found->is_string()) {
        std::string id = found->get<std::string>();
        if (id.ends_with('#')) id.pop_back();
        anchors_.emplace(id, &value);
      }
    }
  }
  for (const auto& item : value.items()) note(item.value(), path, depth + 1);
}

Schema SchemaDocument::part(Schema parent, const Json& value, const std::string& step) {
  const std::string where = path(parent) + "/" + step;
  if (!is_schema(value)) throw Error(ErrorKind::kBadInput, "a schema is an object, true or false", where);
  paths_.emplace(&value, where);
  return &value;
}

Schema SchemaDocument::made(Json schema, const std::string& path) {
  paths_[&made_.emplace_back(std::move(schema))] = path;
  return &made_.back();
}

Schema SchemaDocument::referred(Schema from, std::string_view reference) {
  const std::string where = path(from, "$ref");
  if (const auto found = anchors_.find(std::string(reference)); found != anchors_.end()) {
    paths_.emplace(found->second, std::string(reference));
    return found->second;
  }
  const size_t hash = reference.find('#');
  const std::string_view document = reference.substr(0, hash);
  Schema at = &root_;
  if (!document.empty()) {
    const auto found = anchors_.find(std::string(document));
    if (found == anchors_.end()) {
      throw Error(ErrorKind::kUnsupported, fmt::format("'{}' is in another document", reference), where,
                  "put it below $defs");
    }
    at = found->second;
  }
  std::string_view pointer = hash == reference.npos ? "" : reference.substr(hash + 1);
  const auto nowhere = [&] { return Error(ErrorKind::kBadInput, fmt::format("'{}' leads nowhere", reference), where); };
  if (!pointer.empty() && pointer[0] != '/') throw nowhere();
  std::string place = path(at);
  while (!pointer.empty()) {
    const size_t end = std::min(pointer.find('/', 1), pointer.size());
    const std::string step = unescaped(pointer.substr(1, end - 1));
    pointer.remove_prefix(end);
    if (at->is_object() && at->contains(step)) {
      at = &(*at)[step];
    } else if (at->is_array() && !step.empty() && step.size() < 9 &&
               step.find_first_not_of("0123456789") == step.npos && std::stoul(step) < at->size()) {
      at = &(*at)[std::stoul(step)];
    } else {
      throw nowhere();
    }
    place += "/" + pointer_step(step);
  }
  if (!is_schema(*at)) throw Error(ErrorKind::kBadInput, fmt::format("'{}' is no schema", reference), where);
  paths_.emplace(at, place);
  return at;
}

std::string SchemaDocument::path(Schema schema, std::string_view keyword) const {
  const auto found = paths_.find(schema);
  const std::string place = found == paths_.end() ? "#" : found->second;
  return keyword.empty() ? place : place + "/" + pointer_step(keyword);
}

}  // namespace fieldprint
