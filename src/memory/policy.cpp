#include "memory/policy.h"

#include <iterator>

#include "fieldprint/error.h"

namespace fieldprint::memory {

namespace {

constexpr PolicyRule kRules[] = {
    {"approvals", &Policy::approvals, 1, 64},
    {"approvals_external", &Policy::approvals_external, 2, 64},
    {"root_signatures", &Policy::root_signatures, 1, 64},
    {"source_a_day", &Policy::source_a_day, 0, 1 << 30},
    {"principal_a_day", &Policy::principal_a_day, 0, 1 << 30},
    {"all_a_day", &Policy::all_a_day, 0, 1 << 30},
    {"payload_bytes", &Policy::payload_bytes, 1, 1 << 24},
    {"anchor_tokens", &Policy::anchor_tokens, 0, 4096},
    {"drift", &Policy::drift, 0, 3142},
};

}  // namespace

std::span<const PolicyRule> Policy::rules() { return kRules; }

ledger::Value Policy::cbor() const {
  ledger::Map map;
  int64_t key = 1;
  for (const PolicyRule& rule : kRules) map.set(key++, this->*rule.field);
  return map;
}

Policy Policy::from_cbor(const ledger::Value& value) {
  Policy policy;
  int64_t key = 1;
  for (const PolicyRule& rule : kRules) policy.*rule.field = value.map().at(key++).integer(rule.least, rule.most);
  if (value.map().size() != std::size(kRules))
    throw Error(ErrorKind::kBadInput, "a policy has fields that are unknown");
  return policy;
}

}  // namespace fieldprint::memory
