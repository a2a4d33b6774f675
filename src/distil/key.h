// What a row is known by, and what follows from that. docs/formats/distil.md
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "train/distilled.h"

namespace fieldprint {

// SHA-256, in hex digits, of the row's prompt, tools, sampling, sample and teacher, each with its length before it.
std::string row_key(const TeacherRow& row);

// 31 bits, which every server takes: of the key.
uint64_t row_seed(std::string_view key);

// Which of n shards has it, from 1.
int row_shard(std::string_view key, int shards);

// DistilOptions' sampling, seed and top_k as rows have them: {"logprobs": K, "max_tokens": ..., "seed": ...}. Throws
// Error kUsage for what is no object or names what is not its to say ("messages", "stream" ...).
std::string row_sampling(const std::string& sampling, uint64_t seed, int top_k);
// And back to what a teacher is sent: without seed and logprobs.
std::string sent_sampling(std::string_view row_sampling);

}  // namespace fieldprint
