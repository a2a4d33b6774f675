#include "train/checkpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <optional>
#include <system_error>

#include "base/sha256.h"
#include "fieldprint/atomic_file.h"
#include "fieldprint/error.h"

namespace fieldprint {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kBegin = "step-", kEnd = ".ckpt.gguf";
constexpr const char* kHash = "checkpoint.sha256";

// Over all that a checkpoint says, so that no part of it can be altered or be another's.
std::string hash_of(const Checkpoint& checkpoint) {
  Sha256 hash;
  const auto number = [&](uint64_t value) { hash.update(std::as_bytes(std::span(&value, 1))); };
  const auto text = [&](const std::string& value) {
    number(value.size());
    hash.update(std::as_bytes(std::span(value)));
  };
  number(static_cast<uint64_t>(checkpoint.step));
  number(static_cast<uint64_t>(checkpoint.skipped));
  number(checkpoint.seed);
  for (const auto* value : {&checkpoint.model, &checkpoint.data, &checkpoint.options, &checkpoint.extra}) text(*value);
  for (const auto& [name, values] : checkpoint.tensors) {
    text(name);
    number(values.size());
    hash.update(std::as_bytes(values));
  }
  return hash.hex();
}

// The step in the name of a checkpoint; nothing where it is not one.
std::optional<int64_t> step_of(std::string_view name) {
  if (!name.starts_with(kBegin) || !name.ends_with(kEnd) || name.size() <= kBegin.size() + kEnd.size()) return {};
  const std::string_view digits = name.substr(kBegin.size(), name.size() - kBegin.size() - kEnd.size());
  int64_t step = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), step);
  if (error != std::errc() || end != digits.data() + digits.size() || step < 0) return {};
  return step;
}

// call(name) for each file of the folder; for none where there is no folder.
template <class Call>
void for_names(const std::string& folder, Call&& call) {
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    call(it->path().filename().string());
  }
}

// Paths of the checkpoints, the one of the most steps first.
std::vector<std::string> checkpoints_of(const std::string& folder) {
  std::vector<std::pair<int64_t, std::string>> found;
  for_names(folder, [&](const std::string& name) {
    if (const auto step = step_of(name)) found.emplace_back(*step, (fs::path(folder) / name).string());
  });
  std::sort(found.begin(), found.end(), std::greater<>());
  std::vector<std::string> paths;
  for (auto& [step, path] : found) paths.push_back(std::move(path));
  return paths;
}

}  // namespace

void write_checkpoint(const std::string& path, const Checkpoint& checkpoint) {
  GgufWriter writer;
  writer.set("general.type", "checkpoint");
  writer.set("checkpoint.step", static_cast<uint64_t>(checkpoint.step));
  writer.set("checkpoint.skipped", static_cast<uint64_t>(checkpoint.skipped));
  writer.set("checkpoint.seed", checkpoint.seed);
  writer.set("checkpoint.model", checkpoint.model);
  writer.set("checkpoint.data", checkpoint.data);
  writer.set("checkpoint.options", checkpoint.options);
  writer.set("checkpoint.extra", checkpoint.extra);
  writer.set(kHash, hash_of(checkpoint));
  for (const auto& [name, values] : checkpoint.tensors) {
    writer.add_tensor(name, *find_quant_type("F32"), {values.size()}, std::as_bytes(values));
  }
  writer.write(path);
}

Checkpoint read_checkpoint(const std::string& path) {
  Checkpoint result;
  result.file = GgufFile::open(path);
  const GgufFile& file = *result.file;
  if (file.string("general.type", "") != "checkpoint") {
    throw Error(ErrorKind::kBadFile, "is no checkpoint: its general.type is not checkpoint", path);
  }
  result.step = file.integer("checkpoint.step");
  result.skipped = file.integer("checkpoint.skipped");
  const auto* seed = file.find("checkpoint.seed");
  const auto* seed_value = seed != nullptr ? std::get_if<uint64_t>(&seed->value) : nullptr;  // may be 2^63 and more
  if (seed_value == nullptr) throw Error(ErrorKind::kBadFile, "checkpoint.seed is missing or no u64", path);
  result.seed = *seed_value;
  result.model = file.string("checkpoint.model");
  result.data = file.string("checkpoint.data");
  result.options = file.string("checkpoint.options");
  result.extra = file.string("checkpoint.extra");
  for (const GgufTensor& tensor : file.tensors()) {
    if (tensor.type->name != "F32") {
      throw Error(ErrorKind::kBadFile, fmt::format("tensor '{}' of a checkpoint is not F32", tensor.name), path);
    }
    result.tensors.emplace_back(tensor.name, std::span(reinterpret_cast<const float*>(tensor.data), tensor.elements()));
  }
  if (hash_of(result) != file.string(kHash)) {
    throw Error(ErrorKind::kBadFile, "the checkpoint was altered: its hash does not fit", path);
  }
  return result;
}

std::string checkpoint_path(const std::string& folder, int64_t step) {
  return (fs::path(folder) / fmt::format("{}{:08}{}", kBegin, step, kEnd)).string();
}

std::string newest_checkpoint(const std::string& folder) {
  const std::vector<std::string> paths = checkpoints_of(folder);
  std::string why;
  for (const std::string& path : paths) {
    try {
      (void)read_checkpoint(path);
      return path;
    } catch (const Error& error) {  // the one before it may be whole
      if (why.empty()) why = error.what();
    }
  }
  if (paths.empty()) return "";
  throw Error(ErrorKind::kBadFile,
              fmt::format("none of {} checkpoints can be used; of the newest: {}", paths.size(), why), folder,
              "another folder begins anew");
}

void drop_old_checkpoints(const std::string& folder, int keep, int64_t step) {
  std::vector<std::string> abandoned;
  for_names(folder, [&](const std::string& name) {
    const size_t part = name.find(".part-");
    if (part != std::string::npos && step_of(std::string_view(name).substr(0, part))) {
      abandoned.push_back((fs::path(folder) / name.substr(0, part)).string());
    }
  });
  for (const std::string& path : abandoned) remove_dead_temporaries(path);
  if (keep <= 0) return;
  std::vector<std::string> paths = checkpoints_of(folder);
  std::erase_if(paths, [&](const std::string& path) { return step_of(fs::path(path).filename().string()) > step; });
  std::error_code ignored;
  for (size_t i = static_cast<size_t>(keep); i < paths.size(); ++i) fs::remove(paths[i], ignored);
}

}  // namespace fieldprint
