#include "distil/markdown.h"

#include <gtest/gtest.h>

namespace fieldprint::distil {
namespace {

TEST(DistilMarkdown, HoldsWhatIsInIt) {
  EXPECT_EQ(code_block("```\n<script>alert(1)</script>"), "````text\n```\n<script>alert(1)</script>\n````\n");
  EXPECT_EQ(code_block("a\x1b[31m\xE2\x80\xAE\xFF"), "```text\na\xEF\xBF\xBD[31m\xEF\xBF\xBD\xEF\xBF\xBD\n```\n");
  EXPECT_EQ(plain_text("<b>|[x](javascript:1)\n# h"), "&lt;b&gt;\\|\\[x\\](javascript:1) # h");
  EXPECT_EQ(plain_text("# h"), "\\# h");
  EXPECT_EQ(plain_text(" - a-b"), " \\- a-b");
  EXPECT_EQ(plain_text("12. 0.8, 1. and 2)"), "12\\. 0.8, 1. and 2)");
  EXPECT_EQ(plain_text("arc_easy _x_ *y* ~~z~~"), "arc_easy \\_x\\_ \\*y\\* \\~\\~z\\~\\~");
  EXPECT_EQ(plain_text("http://a.b www.a.b c@d.e <i>&lt;"), "http\\://a.b www\\.a.b c\\@d.e &lt;i&gt;&amp;lt;");
  EXPECT_EQ(code_span("a`b|c"), "``a`b\\|c``");
  EXPECT_EQ(code_span("`"), "`` ` ``");
}

}  // namespace
}  // namespace fieldprint::distil
