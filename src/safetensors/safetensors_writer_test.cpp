#include "safetensors/safetensors_writer.h"

#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>

#include "safetensors/safetensors.h"
#include "support/files.h"

namespace fieldprint {
namespace {

TEST(SafetensorsWriter, WhatIsWrittenIsReadBack) {
  const std::string path = (std::filesystem::temp_directory_path() / "fieldprint-written.safetensors").string();
  const std::vector<float> matrix = {1, 2, 3, 4, 5, 6};
  const std::vector<uint16_t> halves = {0x3c00, 0x4000};
  const std::vector<SafeTensorToWrite> tensors = {
      {"b.weight", find_quant_type("F32"), {2, 3}, std::as_bytes(std::span(matrix))},
      {"a.weight", find_quant_type("BF16"), {2}, std::as_bytes(std::span(halves))},
  };
  write_safetensors(path, tensors, {{"format", "pt"}});
  const auto file = SafetensorsFile::open(path);
  ASSERT_EQ(file->tensors().size(), 2u);
  for (size_t i = 0; i < 2; ++i) {
    const SafeTensor& read = file->tensors()[i];
    EXPECT_EQ(read.name, tensors[i].name);
    EXPECT_EQ(read.type, tensors[i].type);
    EXPECT_EQ(read.shape, tensors[i].shape);
    ASSERT_EQ(read.bytes, tensors[i].data.size());
    EXPECT_EQ(std::memcmp(read.data, tensors[i].data.data(), read.bytes), 0);
  }
  EXPECT_EQ((std::filesystem::file_size(path) - matrix.size() * 4 - halves.size() * 2) % 8, 0u);
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace fieldprint
