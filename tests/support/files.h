// Files whole, and the sentence of a refusal: what tests of anything on disk want.
#pragma once

#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

#include "fieldprint/error.h"

namespace fieldprint {

inline std::string slurp(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline void spill(const std::string& path, std::string_view bytes) {
  std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

// What call() threw as an Error says; "" where it threw none.
template <typename Call>
std::string refusal(Call call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

}  // namespace fieldprint
