// The parameters of a call: typed, and checked for names that the call does not have. Error kUsage names what is wrong.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/json.h"
#include "memory/memory.h"

namespace fieldprint::memory {

using Json = nlohmann::ordered_json;

class Params {
 public:
  Params(std::string_view method, const nlohmann::json& object);

  std::string text(const char* name) const;  // needed
  std::string text(const char* name, std::string otherwise) const;
  int64_t number(const char* name, int64_t otherwise, int64_t least, int64_t most) const;
  std::optional<int64_t> number(const char* name, int64_t least, int64_t most) const;
  bool flag(const char* name) const;  // false where it is left out
  bool has(const char* name) const;
  std::vector<std::string> texts(const char* name) const;                        // none where it is left out
  std::vector<std::pair<std::string, int64_t>> numbers(const char* name) const;  // an object of whole numbers
  RecordId id(const Memory& memory, const char* name = "id") const;              // by its beginning
  // valid_days as a time.
  std::optional<int64_t> valid_until() const;
  // At the end of reading: refuses what nobody asked for.
  void done() const;

 private:
  const nlohmann::json* find(const char* name) const;
  [[noreturn]] void refuse(const char* name, const std::string& what) const;

  std::string method_;
  const nlohmann::json& object_;
  mutable std::set<std::string> asked_;
};

// What several calls answer with.
Json label_json(const Label& label);
Json record_json(const Memory& memory, const RecordId& id, const Record& record, const Row& row);
std::string time_text(int64_t ms);  // "2026-11-29T08:14:42Z"
// The record, if it is the caller's; else Error kNotFound, as for one that there is not.
Record own_record(const Memory& memory, const MemoryCaller& caller, const RecordId& id);

}  // namespace fieldprint::memory
