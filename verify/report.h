// What a check found: faults, each with the rule that is broken and the place, and sentences about what was checked.
// The names of rules are an interface (docs/verify.md lists them): programs that read the report may rely on them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "hash.h"

namespace fieldprint::verify {

// Where a fault is, as far as it can be said.
struct Place {
  std::string file = {};               // relative to the export
  std::optional<uint64_t> event = {};  // its index in the ledger
  std::optional<Hash> record = {};     // its id
};

struct Fault {
  std::string rule;  // such as "label.integrity"
  std::string what;  // a sentence, for people; what comes from the export is printable in it
  Place place;
};

// Thrown by Report::fault() where the bound is reached; verify() catches it.
struct TooManyFaults {};

class Report {
 public:
  // `faults_max`: after so many there is no point in going on. At least 1.
  explicit Report(size_t faults_max = 100) : faults_max_(faults_max) {}

  void fault(std::string_view rule, std::string what, Place place = {});
  // A sentence about what was checked, with its counts, or what was not.
  void checked(std::string sentence) { checked_.push_back(std::move(sentence)); }
  // A number for programs: its name is in docs/verify.md.
  void count(std::string_view name, uint64_t value) { counts_.emplace_back(name, value); }

  bool sound() const { return faults_.empty(); }
  const std::vector<Fault>& faults() const { return faults_; }

  std::string text() const;  // for people
  std::string json() const;  // one object, with a newline

 private:
  bool full() const { return faults_.size() >= faults_max_; }

  size_t faults_max_;
  std::vector<Fault> faults_;
  std::vector<std::string> checked_;
  std::vector<std::pair<std::string, uint64_t>> counts_;
};

}  // namespace fieldprint::verify
