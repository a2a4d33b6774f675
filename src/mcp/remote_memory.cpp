// The memory as the daemon's clients have it.
#include <fmt/format.h>

#include <mutex>

#include "fieldprint/memory_daemon.h"
#include "mcp/daemon_link.h"
#include "mcp/unix_socket.h"
#include "mcp/wire.h"

namespace fieldprint {

using namespace mcp;

namespace {

// One connection for each caller that calls: a caller is said once, at its beginning.
class RemoteMemory final : public MemoryCalls {
 public:
  RemoteMemory(std::string directory, std::chrono::milliseconds patience)
      : directory_(std::move(directory)), patience_(patience) {}

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
  bool same(const MemoryCaller& caller) const {
    return caller.principal == caller_.principal && caller.session == caller_.session &&
           caller.adapter == caller_.adapter;
  }

  void connect(const MemoryCaller& caller) {
    line_ = link_to_daemon(directory_, {.role = "call", .caller = caller});
    if (!line_) throw Error(ErrorKind::kIo, "the memory's daemon has ended", directory_);
    caller_ = caller;
  }

  const std::string directory_;
  const std::chrono::milliseconds patience_;
  std::mutex mutex_;
  std::unique_ptr<DaemonLink> line_;
  MemoryCaller caller_;
  int64_t calls_ = 0;
};

}  // namespace

std::unique_ptr<MemoryCalls> connect_memory(const std::string& directory, std::chrono::milliseconds patience) {
  if (!connect_in(directory)) return nullptr;
  return std::make_unique<RemoteMemory>(directory, patience);
}

}  // namespace fieldprint
