#include "server/page.h"

#include <gtest/gtest.h>

#include <fstream>
#include <regex>

#include "support/paths.h"

namespace fieldprint::server {
namespace {

TEST(Page, IsTheCommittedFile) {
  std::ifstream file(source_dir() / "web" / "dist" / "index.html", std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  ASSERT_FALSE(bytes.empty());
  EXPECT_TRUE(page() == bytes);
  EXPECT_LT(bytes.size(), 900'000u);
}

TEST(Page, AsksForNothingElse) {
  // What a browser would fetch: scripts, styles and pictures that stand elsewhere. (Links are for people.)
  const std::string html(page());
  EXPECT_EQ(html.find("<script src"), html.npos);
  EXPECT_EQ(html.find("rel=\"stylesheet\""), html.npos);
  EXPECT_EQ(html.find("@import"), html.npos);
  EXPECT_EQ(html.find("url(http"), html.npos);
}

TEST(Page, PolicyAllowsWhatStandsInThePage) {
  // The hashes of "a" and "b", which `printf a | openssl dgst -sha256 -binary | base64` gives, too.
  const auto policy = page_policy("<html><style>b</style><script type=\"module\">a</script></html>");
  EXPECT_EQ(policy,
            "default-src 'none'; script-src 'sha256-ypeBEsobvcr6wjGzmiPcTaeG7/gUfE5yuYB3ha/uSLs='; style-src "
            "'sha256-PiPoFgA5WUoziU9lZOGxNIu9egCI1CxKy3PurtWcAJ0='; connect-src 'self'; img-src 'self' data:; base-uri "
            "'none'; form-action 'none'; frame-ancestors 'none'");
  // What a script says is no element.
  EXPECT_EQ(page_policy("<script>'<style>'</script><style>b</style>"),
            page_policy("<style>b</style><script>'<style>'</script>"));
  const auto own = page_policy(page());
  EXPECT_EQ(own.find("unsafe"), own.npos);
  EXPECT_TRUE(std::regex_search(own, std::regex("script-src 'sha256-[^']+'; style-src 'sha256-[^']+';"))) << own;
}

}  // namespace
}  // namespace fieldprint::server
