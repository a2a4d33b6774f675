// The memory as the daemon's clients have it.
#include <fmt/format.h>
#include <sys/socket.h>

#include <mutex>

#include "fieldprint/memory_daemon.h"
#include "mcp/lines.h"
#include "mcp/unix_socket.h"
#include "mcp/wire.h"

namespace fieldprint {

using namespace mcp;

namespace {

constexpr size_t kMaxReplyBytes = 64 << 20;

// One connection for each caller that calls: a caller is said once, at its beginning.
class RemoteMemory final : public MemoryCalls {
 public:
  RemoteMemory(std::string directory, std::chrono::milliseconds patience, Descriptor socket)
      : directory_(std::move(directory)), patience_(patience), spare_(std::move(socket)) {}

  std::string call(const MemoryCaller& caller, std::string_view method, std::string_view params) override {
    const std::lock_guard lock(mutex_);
    if (!line_ || !same(caller)) connect(caller);
    const int64_t id = ++calls_;
    const std::string text = fmt::format(R"({{"id":{},"method":{},"params":{}}})", id, to_text(Json(method)),
                                         to_text(params.empty() ? Json::object() : json_from(params)));
    const auto gone = [this]() -> std::string {
      line_.reset();
      throw Error(ErrorKind::kIo, "the memory's daemon ended: whether this was done is not known", directory_);
    };
    if (!line_->writer.write(text)) return gone();
    const Line line = patience_.count() > 0 ? line_->reader.next(patience_) : line_->reader.next();
    if (line.kind == Line::Kind::kLate) {
      line_.reset();
      throw Error(ErrorKind::kIo, "the memory's daemon does not answer in time", directory_);
    }
    if (line.kind != Line::Kind::kLine) return gone();
    const Json reply = Json::parse(line.text);
    if (const auto error = reply.find("error"); error != reply.end()) throw error_from(*error);
    if (reply.at("id") != id) return gone();
    return to_text(reply.at("result"));
  }

 private:
  struct Talk {
    explicit Talk(Descriptor given) : socket(std::move(given)) {}
    Descriptor socket;
    LineReader reader{socket.get(), -1, kMaxReplyBytes};
    LineWriter writer{socket.get()};
  };

  bool same(const MemoryCaller& caller) const {
    return caller.principal == caller_.principal && caller.session == caller_.session &&
           caller.adapter == caller_.adapter;
  }

  void connect(const MemoryCaller& caller) {
    Descriptor socket = spare_ ? std::move(spare_) : connect_in(directory_);
    if (!socket) throw Error(ErrorKind::kIo, "the memory's daemon has ended", directory_);
    line_ = std::make_unique<Talk>(std::move(socket));
    caller_ = caller;
    line_->writer.write(hello_text({.role = "call", .caller = caller}));
  }

  const std::string directory_;
  const std::chrono::milliseconds patience_;
  std::mutex mutex_;
  Descriptor spare_;  // connected, nothing said yet
  std::unique_ptr<Talk> line_;
  MemoryCaller caller_;
  int64_t calls_ = 0;
};

}  // namespace

std::unique_ptr<MemoryCalls> connect_memory(const std::string& directory, std::chrono::milliseconds patience) {
  Descriptor socket = connect_in(directory);
  if (!socket) return nullptr;
  return std::make_unique<RemoteMemory>(directory, patience, std::move(socket));
}

}  // namespace fieldprint
