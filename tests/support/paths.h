// Where tests find their data: what is committed, and what only some machines have.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <string>

namespace fieldprint {

std::filesystem::path source_dir();  // of the checkout
inline std::filesystem::path golden_dir() { return source_dir() / "tests" / "golden"; }

// ../shared of the checkout, or an empty path where there is none: such tests say GTEST_SKIP.
inline std::filesystem::path shared_dir() {
  const auto path = source_dir().parent_path() / "shared";
  return std::filesystem::exists(path) ? path : std::filesystem::path();
}

// Evaluation data: ../shared/data, then $FIELDPRINT_DATA; empty where there is neither.
inline std::filesystem::path data_dir() {
  if (!shared_dir().empty()) return shared_dir() / "data";
  if (const char* path = std::getenv("FIELDPRINT_DATA")) return path;
  return {};
}

}  // namespace fieldprint
