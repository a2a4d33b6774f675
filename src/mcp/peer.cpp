#include "mcp/peer.h"

namespace fieldprint::mcp {

std::shared_ptr<Call> Peer::begin(const Json& id) {
  auto call = std::make_shared<Call>();
  const std::lock_guard lock(mutex_);
  if (!calls_.emplace(to_text(id), call).second) throw RpcError(kInvalidRequest, "a request with this id is under way");
  if (closed_) call->close();
  return call;
}

void Peer::end(const Json& id) {
  const std::lock_guard lock(mutex_);
  calls_.erase(to_text(id));
}

void Peer::cancel(const Json& id) {
  const std::lock_guard lock(mutex_);
  if (const auto found = calls_.find(to_text(id)); found != calls_.end()) found->second->cancel();
}

void Peer::cancel_all() {
  const std::lock_guard lock(mutex_);
  for (const auto& [id, call] : calls_) call->cancel();
}

void Peer::close_all() {
  const std::lock_guard lock(mutex_);
  closed_ = true;
  for (const auto& [id, call] : calls_) call->close();
}

Peer::Agreed Peer::agreed() const {
  const std::lock_guard lock(mutex_);
  Agreed agreed = agreed_;
  if (agreed.client.empty()) agreed.client = client_;
  return agreed;
}

void Peer::agree(std::string version, const std::string& client, Json capabilities) {
  const std::lock_guard lock(mutex_);
  agreed_.version = std::move(version);
  agreed_.client = client;
  agreed_.capabilities = std::move(capabilities);
}

void Peer::set_log_level(std::string level) {
  const std::lock_guard lock(mutex_);
  agreed_.log_level = std::move(level);
}

}  // namespace fieldprint::mcp
