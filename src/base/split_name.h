// Names of the files of a model that lies in several: model-00001-of-00003.gguf and so on, as other engines have it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace fieldprint {

struct SplitName {
  std::string stem;  // "folder/model"
  uint32_t number;   // from 1
  uint32_t count;    // at most 65535
};

// nullopt where `path` is no such name.
std::optional<SplitName> parse_split_name(std::string_view path);

std::string split_name(std::string_view stem, uint32_t number, uint32_t count);

}  // namespace fieldprint
