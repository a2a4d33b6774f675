// A model file as the teacher, in this process: many answers share each pass over the weights.
#pragma once

#include <memory>

#include "distil/teacher.h"

namespace fieldprint {

// Throws Error as Model::load, and kUnsupported for a model without a chat template or that gives no text.
std::unique_ptr<Teacher> make_engine_teacher(const DistilTeacher& options);

}  // namespace fieldprint
