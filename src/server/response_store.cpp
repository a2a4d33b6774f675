#include "server/response_store.h"

#include <fmt/format.h>

#include "server/api_error.h"

namespace fieldprint::server {

void ResponseStore::put(Stored stored) {
  if (stored.bytes() > most_bytes_) return;
  const auto shared = std::make_shared<const Stored>(std::move(stored));
  const std::lock_guard lock(mutex_);
  bytes_ += shared->bytes();
  by_id_[shared->id] = list_.insert(list_.end(), shared);
  while (bytes_ > most_bytes_) {
    bytes_ -= list_.front()->bytes();
    by_id_.erase(list_.front()->id);
    list_.pop_front();
  }
}

ResponseStore::List::iterator ResponseStore::find(const std::string& owner, const std::string& id,
                                                  const char* parameter) {
  const auto found = by_id_.find(id);
  if (found == by_id_.end() || (*found->second)->owner != owner) {
    throw ApiError(
        404, fmt::format("the response '{}' is not kept here: it was never stored, or newer ones took its room", id),
        parameter, "response_not_found");
  }
  return found->second;
}

std::shared_ptr<const ResponseStore::Stored> ResponseStore::get(const std::string& owner, const std::string& id,
                                                                const char* parameter) {
  const std::lock_guard lock(mutex_);
  return *find(owner, id, parameter);
}

void ResponseStore::remove(const std::string& owner, const std::string& id) {
  const std::lock_guard lock(mutex_);
  const auto found = find(owner, id, "id");
  bytes_ -= (*found)->bytes();
  by_id_.erase(id);
  list_.erase(found);
}

}  // namespace fieldprint::server
