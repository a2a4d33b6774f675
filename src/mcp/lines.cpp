#include "mcp/lines.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace fieldprint::mcp {
namespace {

constexpr size_t kReadAtOnce = 64 << 10;

using Clock = std::chrono::steady_clock;

// Milliseconds that poll() may wait.
int left_until(std::optional<Clock::time_point> deadline) {
  if (!deadline) return -1;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(*deadline - Clock::now()).count();
  return left < 0 ? 0 : static_cast<int>(left);
}

}  // namespace

bool LineReader::take(Line& line) {
  for (;;) {
    const size_t end = buffer_.find('\n', searched_);
    if (end == buffer_.npos) {
      searched_ = buffer_.size();
      if (buffer_.size() > max_bytes_) {
        skipping_ = true;
        buffer_.clear();
        searched_ = 0;
      }
      return false;
    }
    const bool too_long = std::exchange(skipping_, false) || end > max_bytes_;
    line = {too_long ? Line::Kind::kTooLong : Line::Kind::kLine, too_long ? std::string() : buffer_.substr(0, end)};
    buffer_.erase(0, end + 1);
    searched_ = 0;
    if (line.text.ends_with('\r')) line.text.pop_back();
    if (too_long || !line.text.empty()) return true;
  }
}

Line LineReader::next(std::optional<std::chrono::milliseconds> time) {
  std::optional<Clock::time_point> deadline;
  if (time) deadline = Clock::now() + *time;
  Line line;
  for (;;) {
    if (take(line)) return line;
    if (ended_) return {};
    pollfd polled[2] = {{fd_, POLLIN, 0}, {stop_fd_, POLLIN, 0}};
    const int ready = ::poll(polled, stop_fd_ >= 0 ? 2 : 1, left_until(deadline));
    if (ready < 0 && errno == EINTR) continue;
    if (ready == 0) return {.kind = Line::Kind::kLate};
    if (ready < 0 || (stop_fd_ >= 0 && polled[1].revents != 0)) return {};
    const size_t size = buffer_.size();
    buffer_.resize(size + kReadAtOnce);
    const ssize_t count = ::read(fd_, buffer_.data() + size, kReadAtOnce);
    buffer_.resize(size + (count > 0 ? static_cast<size_t>(count) : 0));
    if (count < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (count <= 0) {
      ended_ = true;
      if (!buffer_.empty() || skipping_) buffer_ += '\n';
    }
  }
}

bool LineWriter::write(std::string_view line) {
  std::string bytes(line);
  bytes += '\n';
  const std::lock_guard lock(mutex_);
  const auto give_up = [this] {
    gone_ = true;
    return false;
  };
  if (gone_) return false;
  for (size_t done = 0; done < bytes.size();) {
    ssize_t count = ::send(fd_, bytes.data() + done, bytes.size() - done, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (count < 0 && errno == ENOTSOCK) count = ::write(fd_, bytes.data() + done, bytes.size() - done);
    if (count >= 0) {
      done += static_cast<size_t>(count);
      continue;
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN && errno != EWOULDBLOCK) return give_up();
    pollfd polled = {fd_, POLLOUT, 0};
    if (::poll(&polled, 1, static_cast<int>(patience_.count())) == 0) return give_up();
  }
  return true;
}

}  // namespace fieldprint::mcp
