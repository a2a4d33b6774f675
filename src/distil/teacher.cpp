#include "distil/teacher.h"

#include "distil/engine_teacher.h"
#include "distil/http_teacher.h"

namespace fieldprint {

bool is_url(const std::string& model) { return model.starts_with("http://") || model.starts_with("https://"); }

std::unique_ptr<Teacher> make_teacher(const DistilTeacher& options, int attempts) {
  return is_url(options.model) ? make_http_teacher(options, attempts) : make_engine_teacher(options);
}

}  // namespace fieldprint
