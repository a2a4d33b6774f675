// Regular expressions of users (PCRE2: UTF and UCP), with a bound on the work of one match.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace fieldprint::distil {

// Immutable; any thread. Texts may hold broken UTF-8: such bytes match nothing.
class Pattern {
 public:
  // Throws Error kUsage with the place of the fault.
  explicit Pattern(std::string source);
  ~Pattern();
  Pattern(Pattern&&) noexcept;
  Pattern& operator=(Pattern&&) noexcept;

  const std::string& source() const { return source_; }
  // Throws Error kLimit where a match takes more than some seconds.
  bool matches(std::string_view text) const;
  // Group 1 of the last match, or all of that match where there is no group; nullopt: nothing matches.
  std::optional<std::string> last(std::string_view text) const;

 private:
  struct Code;
  std::string source_;
  std::unique_ptr<Code> code_;
};

}  // namespace fieldprint::distil
