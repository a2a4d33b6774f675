#include "server/response_store.h"

#include <gtest/gtest.h>

#include "server/api_error.h"

namespace fieldprint::server {
namespace {

ResponseStore::Stored stored(const std::string& owner, const std::string& id, size_t bytes) {
  return {.owner = owner, .id = id, .response = std::string(bytes, 'x'), .input = {}, .items = {}};
}

TEST(ResponseStore, OldestGoFirst) {
  ResponseStore store(1000);
  for (const char* id : {"a", "b", "c"}) store.put(stored("key", id, 400));
  EXPECT_THROW(store.get("key", "a", "id"), ApiError);
  EXPECT_EQ(store.get("key", "b", "id")->id, "b");
  store.remove("key", "b");
  EXPECT_THROW(store.get("key", "b", "id"), ApiError);
  store.put(stored("key", "d", 400));
  EXPECT_EQ(store.get("key", "c", "id")->id, "c") << "what was removed leaves its room";
  store.put(stored("key", "large", 2000));
  EXPECT_THROW(store.get("key", "large", "id"), ApiError);
  EXPECT_EQ(store.get("key", "c", "id")->id, "c") << "what never fits pushes nothing out";
}

TEST(ResponseStore, EachKeyHasItsOwn) {
  ResponseStore store(1000);
  store.put(stored("key", "a", 10));
  EXPECT_THROW(store.get("other", "a", "id"), ApiError);
  EXPECT_THROW(store.remove("other", "a"), ApiError);
  EXPECT_EQ(store.get("key", "a", "id")->id, "a");
}

}  // namespace
}  // namespace fieldprint::server
