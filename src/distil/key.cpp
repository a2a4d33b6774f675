#include "distil/key.h"

#include <fmt/format.h>

#include "base/json.h"
#include "base/sha256.h"

namespace fieldprint {
namespace {

void add(Sha256& hash, std::string_view part) {
  const uint64_t size = part.size();
  std::byte bytes[8];
  for (int i = 0; i < 8; ++i) bytes[i] = static_cast<std::byte>(size >> (8 * i));
  hash.update(bytes);
  hash.update(std::as_bytes(std::span(part)));
}

}  // namespace

std::string row_key(const TeacherRow& row) {
  Sha256 hash;
  add(hash, "fieldprint distil 1");
  add(hash, row.messages);
  add(hash, row.tools);
  add(hash, row.sampling);
  add(hash, fmt::to_string(row.sample));
  // A model's hash says all of it. Its name is the best there is where the server does not tell the hash.
  add(hash, row.teacher.model_sha256.empty() ? "name " + row.teacher.name : row.teacher.model_sha256);
  add(hash, row.teacher.template_sha256);
  return hash.hex();
}

uint64_t row_seed(std::string_view key) { return std::stoull(std::string(key.substr(0, 8)), nullptr, 16) & 0x7fffffff; }

int row_shard(std::string_view key, int shards) {
  // Other digits than the seed's, so that shards do not share a part of all seeds.
  return static_cast<int>(std::stoull(std::string(key.substr(48)), nullptr, 16) % static_cast<uint64_t>(shards)) + 1;
}

std::string row_sampling(const std::string& sampling, uint64_t seed, int top_k) {
  nlohmann::json json = parse_json(sampling.empty() ? "{}" : sampling, "the sampling options");
  if (!json.is_object()) throw Error(ErrorKind::kUsage, "the sampling options should be a JSON object");
  for (const char* name :
       {"messages", "model", "tools", "stream", "stream_options", "n", "seed", "logprobs", "top_logprobs", "prompt"}) {
    if (json.contains(name))
      throw Error(ErrorKind::kUsage, fmt::format("'{}' is no sampling option: distil says it itself", name));
  }
  json["seed"] = seed;
  if (top_k > 0) json["logprobs"] = top_k;
  return json.dump();
}

std::string sent_sampling(std::string_view row_sampling) {
  nlohmann::json json = parse_json(row_sampling, "a row's sampling");
  json.erase("seed");
  json.erase("logprobs");
  return json.dump();
}

}  // namespace fieldprint
