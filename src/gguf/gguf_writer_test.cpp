#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <fstream>
#include <random>

#include "fieldprint/error.h"
#include "gguf/gguf.h"
#include "support/paths.h"

namespace fieldprint {
namespace {

using testing::HasSubstr;

class GgufWriterTest : public testing::Test {
 protected:
  GgufWriterTest() { std::filesystem::create_directories(folder_); }
  ~GgufWriterTest() override { std::filesystem::remove_all(folder_); }

  std::string path(const std::string& name) const { return folder_ / name; }
  std::vector<std::string> names() const {
    std::vector<std::string> found;
    for (const auto& entry : std::filesystem::directory_iterator(folder_)) found.push_back(entry.path().filename());
    return found;
  }
  static std::string content(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  const std::filesystem::path folder_ =
      std::filesystem::temp_directory_path() / ("fieldprint-gguf-writer-" + std::to_string(::getpid()));
};

std::vector<std::byte> random_bytes(size_t size, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<std::byte> bytes(size);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
  return bytes;
}

// A file with a tensor of each type and a value of each kind that the writer sets.
struct Everything {
  GgufWriter writer;
  std::vector<std::vector<std::byte>> data;

  explicit Everything(uint32_t alignment = 32) {
    if (alignment != 32) writer.set("general.alignment", alignment);
    writer.set("u32", uint32_t{0xfffffffe});
    writer.set("u64", uint64_t{1} << 63);
    writer.set("i32", int32_t{-2147483647 - 1});
    writer.set("f32", -0.0f);
    writer.set("bool", false);
    writer.set("string", std::string_view("nul \0 and \xff", 11));
    writer.set("empty", "");
    writer.set("strings", std::vector<std::string>{"", "x", std::string(1000, 'y')});
    writer.set("i32s", std::vector<int32_t>{-1, 0, 1});
    writer.set("f32s", std::vector<float>{});
    unsigned dims = 1;
    for (const QuantType& type : quant_types()) {
      std::vector<uint64_t> shape = {static_cast<uint64_t>(type.block_elements) * 3};
      for (unsigned i = 1; i < dims; ++i) shape.push_back(i + 1);
      uint64_t elements = 1;
      for (uint64_t length : shape) elements *= length;
      data.push_back(random_bytes(type.bytes(elements), type.ggml_id));
      writer.add_tensor("tensor." + std::string(type.name), type, shape, data.back());
      dims = dims % 4 + 1;
    }
  }
};

void expect_everything(const GgufFile& file, const Everything& expected) {
  EXPECT_EQ(file.integer("u32"), 0xfffffffe);
  EXPECT_EQ(std::get<uint64_t>(file.find("u64")->value), uint64_t{1} << 63);
  EXPECT_EQ(file.integer("i32"), -2147483648LL);
  EXPECT_TRUE(std::signbit(file.number("f32")));
  EXPECT_FALSE(file.boolean("bool", true));
  EXPECT_EQ(file.string("string"), std::string_view("nul \0 and \xff", 11));
  EXPECT_EQ(file.string("empty"), "");
  EXPECT_EQ(file.array("strings")->strings[2], std::string(1000, 'y'));
  EXPECT_EQ(file.array("i32s")->integer(0), -1);
  EXPECT_EQ(file.array("f32s")->count, 0u);
  ASSERT_EQ(file.tensors().size(), quant_types().size());
  for (size_t i = 0; i < file.tensors().size(); ++i) {
    const GgufTensor& tensor = file.tensors()[i];
    SCOPED_TRACE(tensor.name);
    EXPECT_EQ(tensor.type, &quant_types()[i]);
    EXPECT_EQ(tensor.dims, static_cast<int>(i % 4) + 1);
    ASSERT_EQ(tensor.bytes, expected.data[i].size());
    EXPECT_EQ(std::memcmp(tensor.data, expected.data[i].data(), tensor.bytes), 0);
  }
}

TEST_F(GgufWriterTest, EveryKindAndTypeComesBack) {
  const Everything everything;
  const auto bytes = everything.writer.bytes();
  expect_everything(*GgufFile::parse(bytes, "memory"), everything);
  everything.writer.write(path("a.gguf"));
  expect_everything(*GgufFile::open(path("a.gguf")), everything);
  EXPECT_EQ(content(path("a.gguf")), std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
}

TEST_F(GgufWriterTest, TensorsLieAligned) {
  for (const uint32_t alignment : {8u, 32u, 4096u}) {
    const Everything everything(alignment);
    const auto bytes = everything.writer.bytes();
    const auto file = GgufFile::parse(bytes, "memory");
    expect_everything(*file, everything);
    for (const GgufTensor& tensor : file->tensors()) EXPECT_EQ((tensor.data - bytes.data()) % alignment, 0);
    EXPECT_EQ(bytes.size() % alignment, 0u);
  }
}

TEST_F(GgufWriterTest, CopyKeepsEveryKindOfAnotherFile) {
  // All kinds as scalar and as array, by hand: the writer has no setters for some.
  std::string raw("GGUF\3\0\0\0", 8);
  const auto number = [&](uint64_t value, size_t size) { raw.append(reinterpret_cast<const char*>(&value), size); };
  const size_t sizes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
  number(0, 8);
  number(24, 8);
  for (uint32_t kind = 0; kind < 13; ++kind) {
    if (kind == 9) continue;
    const std::string name = "k" + std::to_string(kind);
    const uint64_t value = kind == 7 ? 1 : 0xfedcba9876543210;
    const auto payload = [&] {
      if (kind == 8) number(3, 8), raw += "abc";
      else number(value, sizes[kind]);
    };
    number(name.size(), 8), raw += name, number(kind, 4);
    payload();
    number(name.size() + 1, 8), raw += name + "a", number(9, 4), number(kind, 4), number(2, 8);
    payload(), payload();
  }
  const auto file = GgufFile::parse(std::as_bytes(std::span(raw)), "raw");
  GgufWriter writer;
  for (const auto& [key, value] : file->metadata()) writer.copy(key, value);
  const auto copied = writer.bytes();
  ASSERT_GE(copied.size(), raw.size());  // padded
  EXPECT_EQ(std::memcmp(copied.data(), raw.data(), raw.size()), 0);
}

TEST_F(GgufWriterTest, CopyOfARealFileIsTheSameFile) {
  if (shared_dir().empty()) GTEST_SKIP() << "the models lie in ../shared, which is absent";
  for (const char* name : {"llama-q4_1.gguf", "lfm2-q6_k.gguf"}) {
    const std::string source = shared_dir() / "golden" / "logits" / name;
    const auto file = GgufFile::open(source);
    GgufWriter writer;
    for (const auto& [key, value] : file->metadata()) writer.copy(key, value);
    for (const GgufTensor& tensor : file->tensors()) {
      writer.add_tensor(std::string(tensor.name), *tensor.type,
                        {tensor.shape.begin(), tensor.shape.begin() + tensor.dims}, {tensor.data, tensor.bytes});
    }
    writer.write(path(name));
    EXPECT_EQ(content(path(name)), content(source)) << name;
  }
}

TEST_F(GgufWriterTest, AKeySetAgainIsReplaced) {
  GgufWriter writer;
  writer.set("a", 1);
  writer.set("b", 2);
  writer.set("a", "three");
  const auto bytes = writer.bytes();
  const auto file = GgufFile::parse(bytes, "memory");
  ASSERT_EQ(file->metadata().size(), 2u);
  EXPECT_EQ(file->metadata()[0].first, "a");
  EXPECT_EQ(file->string("a"), "three");
}

TEST_F(GgufWriterTest, RefusesWhatDoesNotFit) {
  GgufWriter writer;
  const std::vector<std::byte> data(40);
  const QuantType& f32 = *find_quant_type("F32");
  const QuantType& q4_1 = *find_quant_type("Q4_1");
  const auto refusal = [&](const std::string& name, const QuantType& type, std::vector<uint64_t> shape) -> std::string {
    try {
      writer.add_tensor(name, type, std::move(shape), data);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kUsage);
      return error.what();
    }
    return "accepted";
  };
  EXPECT_EQ(refusal("a", f32, {10}), "accepted");
  EXPECT_EQ(refusal("b", q4_1, {32, 2}), "accepted");
  EXPECT_EQ(refusal("c", f32, {1, 5, 2, 1}), "accepted");
  EXPECT_THAT(refusal("a", f32, {10}), HasSubstr("'a' is added twice"));
  EXPECT_THAT(refusal("x", f32, {11}), HasSubstr("'x' has 40 bytes of data"));
  EXPECT_THAT(refusal("x", f32, {5}), HasSubstr("40 bytes of data"));
  EXPECT_THAT(refusal("x", f32, {10, 0}), HasSubstr("40 bytes of data"));
  EXPECT_THAT(refusal("x", f32, {uint64_t{1} << 63, 2, 5}), HasSubstr("40 bytes of data"));
  EXPECT_THAT(refusal("x", q4_1, {16, 4}), HasSubstr("no multiple of the 32"));
  EXPECT_THAT(refusal("x", f32, {}), HasSubstr("dimensions"));
  EXPECT_THAT(refusal("x", f32, {1, 1, 1, 1, 10}), HasSubstr("dimensions"));
  EXPECT_THAT(refusal("", f32, {10}), HasSubstr("name"));
  EXPECT_THAT(refusal(std::string(64, 'n'), f32, {10}), HasSubstr("name"));
  EXPECT_THROW(writer.set("", 1), Error);
  EXPECT_THROW(writer.set("general.alignment", uint32_t{24}), Error);
  EXPECT_THROW(writer.set("general.alignment", uint32_t{4}), Error);
  EXPECT_THROW(writer.set("general.alignment", 32), Error);
}

std::string write_error(const GgufWriter& writer, const std::string& path) {
  try {
    writer.write(path);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kIo);
    return error.what();
  }
  return "no error";
}

TEST_F(GgufWriterTest, AFailedWriteLeavesTheOldFile) {
  GgufWriter old;
  old.set("a", 1);
  old.write(path("model.gguf"));
  const std::string before = content(path("model.gguf"));

  const Everything everything;
  rlimit limit{};
  ::getrlimit(RLIMIT_FSIZE, &limit);
  const rlimit tight{4096, limit.rlim_max};
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);  // then write() fails, as on a full disk
  ::setrlimit(RLIMIT_FSIZE, &tight);
  const std::string error = write_error(everything.writer, path("model.gguf"));
  ::setrlimit(RLIMIT_FSIZE, &limit);
  std::signal(SIGXFSZ, handler);
  EXPECT_THAT(error, HasSubstr(path("model.gguf") + ": cannot write the file: "));
  EXPECT_EQ(content(path("model.gguf")), before);
  EXPECT_EQ(names().size(), 1u);  // nothing half-written stays

  everything.writer.write(path("model.gguf"));
  expect_everything(*GgufFile::open(path("model.gguf")), everything);
  EXPECT_EQ(names().size(), 1u);
}

TEST_F(GgufWriterTest, WhatCannotBeWritten) {
  GgufWriter writer;
  EXPECT_THAT(write_error(writer, path("no/such/folder.gguf")), HasSubstr("cannot create the file"));
  EXPECT_THAT(write_error(writer, folder_), HasSubstr("is a folder"));
  EXPECT_THAT(write_error(writer, "/dev/full"), HasSubstr("No space left on device"));
}

TEST_F(GgufWriterTest, ALinkStaysALink) {
  GgufWriter writer;
  writer.write(path("target.gguf"));
  std::filesystem::create_symlink("target.gguf", path("link.gguf"));
  writer.set("a", 1);
  writer.write(path("link.gguf"));
  EXPECT_TRUE(std::filesystem::is_symlink(path("link.gguf")));
  EXPECT_EQ(GgufFile::open(path("target.gguf"))->integer("a"), 1);
}

}  // namespace
}  // namespace fieldprint
