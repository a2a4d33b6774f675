// One run a folder: two at once would write over each other's checkpoints, rows and logs.
#pragma once

#include <string>

#include "base/descriptor.h"

namespace fieldprint {

// Held from here on, by the system's lock on FOLDER/lock, which goes with its process.
class FolderLock {
 public:
  // Throws Error kUsage where another process holds it, kIo.
  explicit FolderLock(const std::string& folder);

 private:
  Descriptor file_;
};

}  // namespace fieldprint
