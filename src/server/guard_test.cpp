#include "server/guard.h"

#include <gtest/gtest.h>

namespace fieldprint::server {
namespace {

TEST(Guard, KnowsThisMachinesNames) {
  for (const char* host : {"localhost", "page.localhost", "127.0.0.1", "127.1.2.3", "[::1]", "::1"})
    EXPECT_TRUE(is_loopback(host)) << host;
  for (const char* host : {"", "example.org", "localhost.example.org", "1127.0.0.1", "[::2]"})
    EXPECT_FALSE(is_loopback(host)) << host;
  EXPECT_EQ(host_name("localhost:8080"), "localhost");
  EXPECT_EQ(host_name("[::1]:8080"), "[::1]");
}

TEST(Guard, ANameThatBeginsLikeALoopbackAddressIsNone) { EXPECT_FALSE(is_loopback("127.0.0.1.example.org")); }

TEST(Guard, ReadsBearerTokens) {
  HttpRequest request;
  EXPECT_EQ(bearer_token(request), "");
  request.headers["authorization"] = "bearer secret";
  EXPECT_EQ(bearer_token(request), "secret");
  request.headers["authorization"] = "Basic secret";
  EXPECT_EQ(bearer_token(request), "");
  EXPECT_TRUE(equal_keys("a", "a"));
  EXPECT_FALSE(equal_keys("a", "ab"));
}

}  // namespace
}  // namespace fieldprint::server
