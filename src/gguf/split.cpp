#include "gguf/split.h"

#include <fmt/format.h>

#include <filesystem>

#include "base/split_name.h"
#include "fieldprint/error.h"

namespace fieldprint {
namespace {

std::string file_name(const std::string& path) { return std::filesystem::path(path).filename().string(); }

// "" where the file does not say; files after the first need not.
std::string_view architecture(const GgufContents& contents) {
  const auto found = contents.keys.find("general.architecture");
  if (found == contents.keys.end()) return {};
  const auto* text = std::get_if<std::string_view>(&contents.metadata[found->second].second.value);
  return text == nullptr ? std::string_view() : *text;
}

std::unique_ptr<MappedFile> open_part(const std::string& path, uint64_t count) {
  try {
    return std::make_unique<MappedFile>(path);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kNotFound) throw;
    throw Error(ErrorKind::kNotFound, fmt::format("is missing; the model lies in {} files", count), path,
                "fetch all of them into one folder: `fieldprint pull owner/repo:file` does");
  }
}

}  // namespace

std::vector<std::unique_ptr<MappedFile>> add_split_files(const std::string& path, GgufContents& contents) {
  const GgufSplit split = contents.split;
  std::vector<std::unique_ptr<MappedFile>> maps;
  if (split.count > 1) {
    const auto name = parse_split_name(path);
    const auto first = name ? split_name(name->stem, 1, static_cast<uint32_t>(split.count)) : "";
    if (split.number != 0) {
      throw Error(ErrorKind::kBadFile, fmt::format("is file {} of {} of a model", split.number + 1, split.count), path,
                  name ? fmt::format("give the first: {}", first) : "give the first");
    }
    if (!name || first != path) {
      throw Error(ErrorKind::kBadFile,
                  fmt::format("is the first of {} files of a model, and its name does not say where the others are",
                              split.count),
                  path, fmt::format("it should end in {}", split_name("", 1, static_cast<uint32_t>(split.count))));
    }
    for (uint64_t number = 1; number < split.count; ++number) {
      const std::string other =
          split_name(name->stem, static_cast<uint32_t>(number + 1), static_cast<uint32_t>(split.count));
      auto map = open_part(other, split.count);
      GgufContents part = parse_gguf(map->bytes(), other);
      const auto foreign = [&](const std::string& why) {
        throw Error(ErrorKind::kBadFile, fmt::format("does not belong to {}: {}", file_name(path), why), other,
                    "fetch the model's files again, all from one place");
      };
      if (part.split.count != split.count || part.split.number != number) {
        foreign(part.split.count == 1
                    ? "it is a model of its own"
                    : fmt::format("it says that it is file {} of {}", part.split.number + 1, part.split.count));
      }
      if (part.split.tensors != split.tensors) foreign("the two say different numbers of tensors");
      if (const auto other_kind = architecture(part); !other_kind.empty() && other_kind != architecture(contents))
        foreign(fmt::format("it is of a model of the architecture {}", gguf_quoted(other_kind)));
      for (const GgufTensor& tensor : part.tensors) {
        if (!contents.names.emplace(tensor.name, contents.tensors.size()).second)
          foreign(fmt::format("tensor {} is in an earlier file, too", gguf_quoted(tensor.name)));
        contents.tensors.push_back(tensor);
      }
      maps.push_back(std::move(map));
    }
  }
  if (split.tensors && *split.tensors != contents.tensors.size()) {
    throw Error(ErrorKind::kBadFile,
                fmt::format("the model's {} files hold {} tensors; together they should hold {}", split.count,
                            contents.tensors.size(), *split.tensors),
                path, "fetch the model's files again, all from one place");
  }
  return maps;
}

}  // namespace fieldprint
