// Answers of /v1/responses that later requests build upon: in memory, until the server ends or newer ones need the
// room.
#pragma once

#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>

namespace fieldprint::server {

// From any thread. Each API key has its own.
class ResponseStore {
 public:
  struct Stored {
    std::string owner, id;
    // JSON as text, which takes no more memory than is counted.
    std::string response;  // as it was answered
    std::string input;     // the request's own items
    std::string items;     // the whole conversation: what came before, the input, the output

    size_t bytes() const { return owner.size() + id.size() + response.size() + input.size() + items.size(); }
  };

  explicit ResponseStore(size_t bytes) : most_bytes_(bytes) {}

  // Pushes out the oldest. One that is larger than all the room is not kept.
  void put(Stored stored);
  // Throws ApiError 404, which names the field `parameter`.
  std::shared_ptr<const Stored> get(const std::string& owner, const std::string& id, const char* parameter);
  void remove(const std::string& owner, const std::string& id);  // throws ApiError 404

 private:
  using List = std::list<std::shared_ptr<const Stored>>;
  List::iterator find(const std::string& owner, const std::string& id, const char* parameter);

  const size_t most_bytes_;
  std::mutex mutex_;  // guards all below
  List list_;         // oldest first
  std::map<std::string, List::iterator> by_id_;
  size_t bytes_ = 0;
};

}  // namespace fieldprint::server
