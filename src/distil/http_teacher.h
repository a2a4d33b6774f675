// A server of the OpenAI API as the teacher: ours, vLLM, llama-server, LM Studio and their like.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "distil/teacher.h"

namespace fieldprint {

// Asks the server which model it has; `attempts` where it does not answer at once. Throws Error kIo where it does not
// answer at all or wants another key, kNotFound where it does not have `options.name`, kUsage.
std::unique_ptr<Teacher> make_http_teacher(const DistilTeacher& options, int attempts);

// Of text that Prometheus reads: the sum of the first of these metrics that is there. nullopt: none is.
std::optional<double> metric_of(std::string_view text, std::span<const std::string_view> names);

}  // namespace fieldprint
