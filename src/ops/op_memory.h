// What ops keep between calls so that a step allocates nothing: one object of each type that is asked for. So an op's
// own scratch is declared in the op's file and nowhere else.
#pragma once

#include <memory>
#include <utility>
#include <vector>

namespace fieldprint {

class OpMemory {
 public:
  // The one T; made when first asked for.
  template <class T>
  T& get() {
    static const char key = 0;  // its address stands for the type
    for (const auto& [at, object] : objects_)
      if (at == &key) return *static_cast<T*>(object.get());
    objects_.emplace_back(&key, std::make_shared<T>());
    return *static_cast<T*>(objects_.back().second.get());
  }

 private:
  std::vector<std::pair<const char*, std::shared_ptr<void>>> objects_;
};

}  // namespace fieldprint
