#include "policy.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "text.h"

namespace fieldprint::verify {
namespace {

constexpr std::array<std::string_view, 5> kRoles = {"root", "operator", "approver", "log", "witness"};

}  // namespace

std::optional<Policy> parse_policy(const cbor::Item& map) {
  constexpr uint64_t kFields = 9;
  if (map.number != kFields) return std::nullopt;
  std::array<uint64_t, kFields + 1> values = {};
  const cbor::Item* item = map.first();
  for (uint64_t field = 1; field <= kFields; ++field) {  // canonical, so the keys are in order
    const cbor::Item& value = *item->next();
    if (item->type != cbor::Type::kUnsigned || item->number != field) return std::nullopt;
    if (value.type != cbor::Type::kUnsigned || value.number >> 63 != 0) return std::nullopt;
    values[field] = value.number;
    item = value.next();
  }
  if (values[1] < 1 || values[2] < 2 || values[3] < 1) return std::nullopt;
  return Policy{values[1], values[2], values[3], values[8]};
}

std::string_view name_of(Role role) { return kRoles[static_cast<size_t>(role) - 1]; }

std::optional<Role> role_of(std::string_view name) {
  const auto found = std::find(kRoles.begin(), kRoles.end(), name);
  if (found == kRoles.end()) return std::nullopt;
  return static_cast<Role>(found - kRoles.begin() + 1);
}

std::string KeyRing::add(std::string_view text, Role role, std::string_view origin) {
  std::optional<Vkey> vkey = parse_vkey(text);
  if (!vkey) return fmt::format("{} is not a verifier key.", printable(text));
  if ((vkey->type == kCosignature) != (role == Role::kWitness))
    return fmt::format("The key {} is of a type that the role {} does not have.", printable(text), name_of(role));
  if (role == Role::kLog && vkey->name != origin)
    return fmt::format("The log's key {} does not have the origin as its name.", printable(text));
  for (const Key& key : keys_) {
    if (key.vkey.key == vkey->key)
      return fmt::format("The key {} has been there before as {}, {}.", printable(text), printable(key.vkey.text),
                         name_of(key.role));
  }
  keys_.push_back({std::move(*vkey), role, true});
  return {};
}

std::string KeyRing::retire(std::string_view text, Role role) {
  for (Key& key : keys_) {
    if (key.vkey.text != text || key.role != role || !key.in_force) continue;
    key.in_force = false;
    return {};
  }
  return fmt::format("The key {} is not in force in the role {}.", printable(text), name_of(role));
}

std::vector<Vkey> KeyRing::in_force(Role role) const {
  std::vector<Vkey> result;
  for (const Key& key : keys_) {
    if (key.in_force && key.role == role) result.push_back(key.vkey);
  }
  return result;
}

}  // namespace fieldprint::verify
