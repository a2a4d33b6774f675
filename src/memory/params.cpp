#include "memory/params.h"

#include <ctime>

#include "fieldprint/error.h"

namespace fieldprint::memory {

namespace {
constexpr int64_t kDayMs = 24 * 60 * 60 * int64_t{1000};
}

Params::Params(std::string_view method, const nlohmann::json& object) : method_(method), object_(object) {
  if (!object.is_object()) throw Error(ErrorKind::kUsage, method_ + " takes its parameters as a JSON object");
}

void Params::refuse(const char* name, const std::string& what) const {
  throw Error(ErrorKind::kUsage, method_ + ": " + name + " " + what);
}

const nlohmann::json* Params::find(const char* name) const {
  asked_.insert(name);
  const auto found = object_.find(name);
  return found == object_.end() || found->is_null() ? nullptr : &*found;
}

bool Params::has(const char* name) const { return find(name) != nullptr; }

std::string Params::text(const char* name) const {
  const nlohmann::json* value = find(name);
  if (!value) refuse(name, "is missing");
  if (!value->is_string()) refuse(name, "is not a text");
  return value->get<std::string>();
}

std::string Params::text(const char* name, std::string otherwise) const { return has(name) ? text(name) : otherwise; }

std::optional<int64_t> Params::number(const char* name, int64_t least, int64_t most) const {
  const nlohmann::json* value = find(name);
  if (!value) return std::nullopt;
  const bool whole = value->is_number_integer() && !(value->is_number_unsigned() && value->get<uint64_t>() > INT64_MAX);
  if (!whole || value->get<int64_t>() < least || value->get<int64_t>() > most) {
    refuse(name, "is not a whole number from " + std::to_string(least) + " to " + std::to_string(most));
  }
  return value->get<int64_t>();
}

int64_t Params::number(const char* name, int64_t otherwise, int64_t least, int64_t most) const {
  return number(name, least, most).value_or(otherwise);
}

bool Params::flag(const char* name) const {
  const nlohmann::json* value = find(name);
  if (!value) return false;
  if (!value->is_boolean()) refuse(name, "is neither true nor false");
  return value->get<bool>();
}

std::vector<std::string> Params::texts(const char* name) const {
  const nlohmann::json* value = find(name);
  if (!value) return {};
  if (!value->is_array()) refuse(name, "is not a list");
  std::vector<std::string> all;
  for (const auto& item : *value) {
    if (!item.is_string()) refuse(name, "is not a list of texts");
    all.push_back(item.get<std::string>());
  }
  return all;
}

std::vector<std::pair<std::string, int64_t>> Params::numbers(const char* name) const {
  const nlohmann::json* value = find(name);
  if (!value || !value->is_object()) refuse(name, "is not an object of numbers");
  std::vector<std::pair<std::string, int64_t>> all;
  for (const auto& [key, number] : value->items()) {
    if (!number.is_number_integer()) refuse(name, "is not an object of numbers");
    all.emplace_back(key, number.get<int64_t>());
  }
  return all;
}

RecordId Params::id(const Memory& memory, const char* name) const { return memory.find(text(name)); }

std::optional<int64_t> Params::valid_until() const {
  const auto days = number("valid_days", 1, 36500);
  if (!days) return std::nullopt;
  return now_ms() + *days * kDayMs;
}

void Params::done() const {
  for (const auto& [name, value] : object_.items()) {
    if (!asked_.contains(name)) refuse(name.c_str(), "is no parameter of it");
  }
}

Json label_json(const Label& label) {
  Json sources = "any";
  if (!label.sources.is_any()) {
    sources = Json::array();
    for (const SourceId& id : label.sources.ids()) sources.push_back(ledger::to_hex(id));
  }
  Json json{{"integrity", integrity_name(label.integrity)}, {"sources", std::move(sources)}};
  if (label.readers) json["readers"] = *label.readers;
  return json;
}

std::string time_text(int64_t ms) {
  const std::time_t seconds = ms / 1000;
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char text[32];
  return {text, std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts)};
}

Json record_json(const Memory&, const RecordId& id, const Record& record, const Row& row) {
  Json json{{"id", hex(id)},
            {"kind", kind_name(record.kind)},
            {"status", status_name(row.status)},
            {"label", label_json(record.label)},
            {"principal", record.principal},
            {"created", time_text(record.created)},
            {"index", row.brought}};
  if (record.valid_until) json["valid_until"] = time_text(*record.valid_until);
  if (row.erased) json["erased"] = true;
  return json;
}

Record own_record(const Memory& memory, const MemoryCaller& caller, const RecordId& id) {
  Record record = memory.record(id);
  if (!memory.visible(caller, record)) no_record();
  return record;
}

}  // namespace fieldprint::memory
