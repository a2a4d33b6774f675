// Models in several files: the same as in one, and whatever a stranger puts in place of one of the files is a sentence.
#include "gguf/split.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstring>

#include "base/split_name.h"
#include "fieldprint/error.h"
#include "gguf/gguf.h"
#include "support/temp_home.h"
#include "support/tiny_model.h"

namespace fieldprint {
namespace {

using testing::HasSubstr;
namespace fs = std::filesystem;

TEST(SplitName, IsReadAndWritten) {
  const auto name = parse_split_name("a/b-00002-of-00013.gguf");
  ASSERT_TRUE(name);
  EXPECT_EQ(name->stem, "a/b");
  EXPECT_EQ(name->number, 2u);
  EXPECT_EQ(name->count, 13u);
  EXPECT_EQ(split_name("a/b", 2, 13), "a/b-00002-of-00013.gguf");
  for (const char* other :
       {"", "b.gguf", "-00001-of-00002.gguf", "b-00000-of-00002.gguf", "b-00003-of-00002.gguf", "b-00001-of-65536.gguf",
        "b-0001-of-00002.gguf", "b-00001-of-00002.bin", "b-0000x-of-00002.gguf", "b-00001_of-00002.gguf"}) {
    EXPECT_FALSE(parse_split_name(other)) << other;
  }
}

class SplitGguf : public testing::Test {
 protected:
  std::string path(const std::string& name) const { return (home_.path() / name).string(); }

  // In files of a few KB.
  std::vector<std::string> write_split(const std::string& name, const TinyModelShape& shape = {}) const {
    return with_tiny_model(shape, [&](const GgufWriter& writer) { return writer.write_split(path(name), 40'000); });
  }

  // The Error of opening `file`, as "sentence (hint)".
  static std::string refusal(const std::string& file, ErrorKind kind = ErrorKind::kBadFile) {
    try {
      GgufFile::open(file);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), kind) << error.what();
      return std::string(error.what()) + " (" + error.hint() + ")";
    }
    return "no error";
  }

  TempHome home_;
};

TEST_F(SplitGguf, ReadsAsTheModelInOneFile) {
  for (const bool aligned : {false, true}) {
    TinyModelShape shape;
    if (aligned) shape.more = [](GgufWriter& writer) { writer.set("general.alignment", uint32_t{256}); };
    with_tiny_model(shape, [&](const GgufWriter& writer) { writer.write(path("whole.gguf")); });
    const auto names = write_split("model.gguf", shape);
    ASSERT_GT(names.size(), 3u);
    for (size_t i = 0; i < names.size(); ++i) {
      EXPECT_EQ(names[i], split_name(path("model"), static_cast<uint32_t>(i + 1), static_cast<uint32_t>(names.size())));
    }
    for (size_t i = 1; i + 1 < names.size(); ++i) EXPECT_LE(fs::file_size(names[i]), 40'000u + 64 * 288 * 4) << i;
    const auto whole = GgufFile::open(path("whole.gguf")), split = GgufFile::open(names[0]);
    EXPECT_EQ(whole->files(), 1u);
    EXPECT_EQ(split->files(), names.size());
    EXPECT_EQ(split->path(), names[0]);
    uint64_t bytes = 0;
    for (const auto& name : names) bytes += fs::file_size(name);
    EXPECT_EQ(split->size(), bytes);
    EXPECT_NE(split->fingerprint(), "");
    ASSERT_EQ(split->metadata().size(), whole->metadata().size());
    for (size_t i = 0; i < whole->metadata().size(); ++i)
      EXPECT_EQ(split->metadata()[i].first, whole->metadata()[i].first);
    ASSERT_EQ(split->tensors().size(), whole->tensors().size());
    for (size_t i = 0; i < whole->tensors().size(); ++i) {
      const GgufTensor &a = whole->tensors()[i], &b = split->tensor(whole->tensors()[i].name);
      EXPECT_EQ(split->tensors()[i].name, a.name) << "the order is kept";
      EXPECT_EQ(b.type, a.type);
      EXPECT_EQ(b.shape, a.shape);
      ASSERT_EQ(b.bytes, a.bytes);
      EXPECT_EQ(std::memcmp(b.data, a.data, a.bytes), 0) << a.name;
    }
  }
}

TEST_F(SplitGguf, SizesAreKeptWhereTensorsAllowIt) {
  TinyModelShape shape;
  shape.vocabulary = 288;
  const uint64_t size = 120'000;  // more than the largest tensor and the metadata
  const auto names =
      with_tiny_model(shape, [&](const GgufWriter& writer) { return writer.write_split(path("m.gguf"), size); });
  ASSERT_GT(names.size(), 1u);
  for (const auto& name : names) EXPECT_LE(fs::file_size(name), size) << name;
  EXPECT_EQ(with_tiny_model(shape, [&](const GgufWriter& w) { return w.write_split(path("n.gguf"), 1u << 30); }),
            std::vector<std::string>{path("n-00001-of-00001.gguf")});
  EXPECT_EQ(GgufFile::open(path("n-00001-of-00001.gguf"))->files(), 1u);
}

TEST_F(SplitGguf, OnlyTheFirstFileOpensTheModel) {
  const auto names = write_split("model.gguf");
  EXPECT_THAT(refusal(names[1]), HasSubstr("is file 2 of "));
  EXPECT_THAT(refusal(names[1]), HasSubstr("give the first: " + names[0]));
  fs::copy(names[0], path("renamed.gguf"));
  EXPECT_THAT(refusal(path("renamed.gguf")), HasSubstr("its name does not say where the others are"));
  fs::copy(names[0], path("model-00001-of-00002.gguf"));
  EXPECT_THAT(refusal(path("model-00001-of-00002.gguf")), HasSubstr("it should end in -00001-of-0"));
  const std::string bytes = read_file(names[0]);
  EXPECT_THROW(GgufFile::parse(std::as_bytes(std::span(bytes)), "memory"), Error);
}

TEST_F(SplitGguf, AMissingFileIsNamed) {
  const auto names = write_split("model.gguf");
  fs::remove(names[2]);
  EXPECT_THAT(refusal(names[0], ErrorKind::kNotFound), HasSubstr(names[2] + ": is missing; the model lies in "));
}

TEST_F(SplitGguf, AFifoInPlaceOfAFileIsRefusedAtOnce) {
  const auto names = write_split("model.gguf");
  fs::remove(names[1]);
  ASSERT_EQ(::mkfifo(names[1].c_str(), 0600), 0);
  EXPECT_THAT(refusal(names[0], ErrorKind::kIo), HasSubstr(names[1] + ": is not a regular file"));
}

TEST_F(SplitGguf, ANameWithNumbersGetsNoFurtherOnes) {
  GgufWriter writer;
  try {
    writer.write_split(path("m-00002-of-00004.gguf"), 1000);
    ADD_FAILURE() << "written";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
    EXPECT_EQ(error.hint(), "give " + path("m.gguf"));
  }
  EXPECT_TRUE(fs::is_empty(home_.path()));
}

TEST_F(SplitGguf, ForeignFilesAreRefused) {
  const auto names = write_split("model.gguf");
  const std::string second = read_file(names[1]);
  const auto with_second = [&](const std::string& bytes) {
    write_file(names[1], bytes);
    return refusal(names[0]);
  };
  EXPECT_THAT(with_second(read_file(names[2])), HasSubstr("it says that it is file 3 of "));
  EXPECT_THAT(with_second(read_file(names[0])), HasSubstr("it says that it is file 1 of "));
  EXPECT_THAT(with_second("not a model"), HasSubstr("is not a GGUF file"));
  EXPECT_THAT(with_second(second.substr(0, second.size() / 2)), HasSubstr("is cut short"));
  with_tiny_model({}, [&](const GgufWriter& writer) { writer.write(path("other.gguf")); });
  EXPECT_THAT(with_second(read_file(path("other.gguf"))), HasSubstr("it is a model of its own"));
  TinyModelShape more_layers;
  more_layers.layers = 3;
  const auto longer = write_split("longer.gguf", more_layers);
  EXPECT_THAT(with_second(read_file(longer[1])), HasSubstr("does not belong to model-00001"));

  // The right numbers, other tensors.
  const auto part = [&](std::vector<std::string> tensors, int claimed, std::string kind = "") {
    GgufWriter writer;
    const auto count = static_cast<uint32_t>(names.size());
    const auto whole = GgufFile::open(names[0]);
    writer.set("split.no", uint32_t{1});
    writer.set("split.count", count);
    writer.set("split.tensors.count", claimed);
    if (!kind.empty()) writer.set("general.architecture", kind);
    const std::vector<std::byte> zeros(4);
    for (const auto& name : tensors) writer.add_tensor(name, *find_quant_type("F32"), {1}, zeros);
    const auto bytes = writer.bytes();
    return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  };
  write_file(names[1], second);
  const auto claimed = static_cast<int>(GgufFile::open(names[0])->tensors().size());
  EXPECT_THAT(with_second(part({"x"}, claimed + 1)), HasSubstr("different numbers of tensors"));
  write_file(names[1], second);
  EXPECT_THAT(with_second(part({"token_embd.weight"}, claimed)), HasSubstr("is in an earlier file, too"));
  write_file(names[1], second);
  EXPECT_THAT(with_second(part({"x"}, claimed, "alien")), HasSubstr("it is of a model of the architecture 'alien'"));
  write_file(names[1], second);
  EXPECT_THAT(with_second(part({}, claimed)), HasSubstr("together they should hold"));
  write_file(names[1], second);
  EXPECT_EQ(refusal(names[0]), "no error");
}

// Bits all over the second file's table, and lengths that it may be cut to.
TEST_F(SplitGguf, DamageInALaterFileNeverCrashes) {
  const auto names = write_split("model.gguf");
  const std::string second = read_file(names[1]);
  const size_t table = std::min<size_t>(second.size(), 400);
  for (size_t bit = 0; bit < table * 8; bit += 5) {
    std::string damaged = second;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ 1 << bit % 8);
    write_file(names[1], damaged);
    try {
      const auto file = GgufFile::open(names[0]);
      unsigned sum = 0;
      for (const GgufTensor& tensor : file->tensors())
        sum += static_cast<unsigned>(tensor.data[0]) + static_cast<unsigned>(tensor.data[tensor.bytes - 1]);
      EXPECT_GE(sum, 0u);
    } catch (const Error&) {
    }
  }
  for (size_t size = 0; size < second.size(); size += 97) {
    write_file(names[1], second.substr(0, size));
    EXPECT_THROW(GgufFile::open(names[0]), Error) << size;
  }
}

TEST_F(SplitGguf, ABrokenWriteLeavesNothingNew) {
  GgufWriter writer;
  writer.set("general.architecture", "x");
  const std::vector<std::byte> zeros(4096);
  writer.add_tensor("a", *find_quant_type("F32"), {1024}, zeros);
  writer.add_tensor("b", *find_quant_type("F32"), {1024},
                    [](const GgufSink&) { throw Error(ErrorKind::kLimit, "stopped"); });
  EXPECT_THROW(writer.write_split(path("m.gguf"), 1000), Error);
  EXPECT_TRUE(fs::is_empty(home_.path()));
}

}  // namespace
}  // namespace fieldprint
