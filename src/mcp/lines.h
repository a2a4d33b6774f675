// Lines over file descriptors: the framing of MCP's stdio transport, and of the daemon's socket. A line ends with \n (a
// \r before it is dropped); empty lines are none.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

namespace fieldprint::mcp {

struct Line {
  enum class Kind {
    kLine,
    kTooLong,  // its bytes are skipped
    kEnd,      // of the input; an error of it; or the stop signal
    kLate,     // nothing in time
  };
  Kind kind = Kind::kEnd;
  std::string text = {};
};

// One thread at a time. A last line without \n counts.
class LineReader {
 public:
  // `stop_fd`: reading ends as soon as it is readable; -1: none. The descriptors stay the caller's.
  LineReader(int fd, int stop_fd, size_t max_bytes) : fd_(fd), stop_fd_(stop_fd), max_bytes_(max_bytes) {}

  Line next(std::optional<std::chrono::milliseconds> time = {});

 private:
  bool take(Line& line);  // from what has been read

  const int fd_, stop_fd_;
  const size_t max_bytes_;
  std::string buffer_;
  size_t searched_ = 0;    // of buffer_: holds no \n
  bool skipping_ = false;  // a line that is too long
  bool ended_ = false;
};

// Any thread: lines come out whole.
class LineWriter {
 public:
  // A client that takes nothing for `patience` is given up.
  explicit LineWriter(int fd, std::chrono::milliseconds patience = std::chrono::seconds(30))
      : fd_(fd), patience_(patience) {}

  bool write(std::string_view line);  // without \n. False: nobody is there any more; later lines are dropped
  bool gone() const { return gone_; }

 private:
  const int fd_;
  const std::chrono::milliseconds patience_;
  std::mutex mutex_;
  std::atomic<bool> gone_ = false;
};

}  // namespace fieldprint::mcp
