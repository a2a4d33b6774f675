#include "memory/policy.h"

#include <iterator>

#include "fieldprint/error.h"

namespace fieldprint::memory {

namespace {

// By their keys in the map, from 1 on, with what each may be.
struct Rule {
  int64_t Policy::*field;
  int64_t least, most;
};
constexpr Rule kRules[] = {
    {&Policy::approvals, 1, 64},          {&Policy::approvals_external, 2, 64},   {&Policy::root_signatures, 1, 64},
    {&Policy::source_a_day, 0, 1 << 30},  {&Policy::principal_a_day, 0, 1 << 30}, {&Policy::all_a_day, 0, 1 << 30},
    {&Policy::payload_bytes, 1, 1 << 24}, {&Policy::anchor_tokens, 0, 4096},      {&Policy::drift, 0, 3142},
};

}  // namespace

ledger::Value Policy::cbor() const {
  ledger::Map map;
  int64_t key = 1;
  for (const Rule& rule : kRules) map.set(key++, this->*rule.field);
  return map;
}

Policy Policy::from_cbor(const ledger::Value& value) {
  Policy policy;
  int64_t key = 1;
  for (const Rule& rule : kRules) policy.*rule.field = value.map().at(key++).integer(rule.least, rule.most);
  if (value.map().size() != std::size(kRules))
    throw Error(ErrorKind::kBadInput, "a policy has fields that are unknown");
  return policy;
}

}  // namespace fieldprint::memory
