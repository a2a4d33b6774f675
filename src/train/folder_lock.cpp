#include "train/folder_lock.h"

#include <fcntl.h>
#include <sys/file.h>

#include <cerrno>
#include <cstring>

#include "fieldprint/error.h"

namespace fieldprint {

FolderLock::FolderLock(const std::string& folder) {
  const std::string path = folder + "/lock";
  file_.reset(::open(path.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0644));
  if (!file_) throw Error(ErrorKind::kIo, std::strerror(errno), path);
  if (::flock(file_.get(), LOCK_EX | LOCK_NB) != 0)
    throw Error(ErrorKind::kUsage, "another run is at work in this folder", folder, "name another --out");
}

}  // namespace fieldprint
