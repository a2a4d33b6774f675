// The task of a run and the sequences that it is measured on, which its settings alone decide.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "fieldprint/lab.h"
#include "lab/tasks.h"

namespace fieldprint {

inline constexpr std::string_view kTextTask = "text";
inline constexpr int kByteTokens = 261;  // bytes, and the five special tokens of a vocabulary of bytes

// Of the files of a text, "" of a task that is drawn. Throws Error kUsage, kNotFound, kIo, kBadFile.
std::string content_of(const LabSettings& settings);

// Throws Error kUsage as make_task(), and as content_of().
std::unique_ptr<Task> lab_task(const LabSettings& settings);

// The same for every kind, seed and learning rate.
std::vector<TaskSequence> held_out_sequences(const Task& task, const LabSettings& settings);

}  // namespace fieldprint
