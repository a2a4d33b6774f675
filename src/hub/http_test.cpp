#include "hub/http.h"

#include <gtest/gtest.h>

#include <span>

#include "base/sha256.h"
#include "fieldprint/error.h"
#include "support/http_server.h"
#include "support/temp_home.h"

namespace fieldprint {
namespace {

std::string noise(size_t bytes) {
  std::string text(bytes, ' ');
  uint32_t state = 1;
  for (char& c : text) c = static_cast<char>((state = state * 1664525u + 1013904223u) >> 24);
  return text;
}

std::string hash_of(const std::string& text) { return sha256_hex(std::as_bytes(std::span(text))); }

class Http : public testing::Test {
 protected:
  // The kind of the Error, or nothing where all went well.
  std::optional<ErrorKind> fetch(const Download& download, const Progress& progress = {}) {
    try {
      download_file(download, place_, progress, policy_);
      return std::nullopt;
    } catch (const Error& error) {
      message_ = error.what();
      hint_ = error.hint();
      return error.kind();
    }
  }
  // As a broken download leaves it.
  void leave_part(const std::string& bytes, const std::string& tag) {
    write_file(place_.part, bytes);
    if (!tag.empty()) write_file(place_.tag, tag + "\n");
  }
  std::string part() const { return read_file(place_.part); }

  TempHome home_;
  const int unproxied_ = (home_.set("no_proxy", "127.0.0.1"), 0);
  const Place place_ = place_of("model.gguf");
  const std::string file_ = noise(300'000);
  DownloadPolicy policy_{.attempts = 3, .backoff = std::chrono::milliseconds(1)};
  std::string message_, hint_;
};

TEST_F(Http, FetchesAndTellsHowFarItIs) {
  HttpServer server([&](const HttpRequest& request) { return serve_with_ranges(request, file_, "\"v1\""); });
  uint64_t total = 0;
  EXPECT_EQ(fetch({server.url() + "/x", "", file_.size(), hash_of(file_)},
                  [&](std::string_view, uint64_t done, uint64_t all) {
                    EXPECT_LE(done, all);
                    total = all;
                    return true;
                  }),
            std::nullopt)
      << message_;
  EXPECT_EQ(part(), file_);
  EXPECT_EQ(total, file_.size());
}

TEST_F(Http, ABreakInTheMiddleIsContinuedByItself) {
  HttpServer server([&](const HttpRequest& request) {
    HttpAnswer answer = serve_with_ranges(request, file_, "\"v1\"");
    if (answer.body.size() > 50'000)
      answer.break_after = 50'000;  // six pieces: more breaks than attempts, each with progress
    return answer;
  });
  EXPECT_EQ(fetch({server.url(), "", 0, ""}), std::nullopt) << message_;
  EXPECT_EQ(part(), file_);
  const auto requests = server.requests();
  ASSERT_GE(requests.size(), 6u);
  EXPECT_EQ(requests[0].header("range"), "");
  EXPECT_EQ(requests[1].header("range"), "bytes=50000-");
  EXPECT_EQ(requests[1].header("if-range"), "\"v1\"");
}

TEST_F(Http, ANewRunContinuesWhatAnEarlierOneLeft) {
  leave_part(file_.substr(0, 123'456), "\"v1\"");
  HttpServer server([&](const HttpRequest& request) { return serve_with_ranges(request, file_, "\"v1\""); });
  EXPECT_EQ(fetch({server.url(), "", 0, ""}), std::nullopt) << message_;
  EXPECT_EQ(part(), file_);
  ASSERT_EQ(server.requests().size(), 1u);
  EXPECT_EQ(server.requests()[0].header("range"), "bytes=123456-");
}

TEST_F(Http, AChangedFileIsFetchedFromTheStart) {
  leave_part(noise(1000), "\"old\"");
  HttpServer server([&](const HttpRequest& request) { return serve_with_ranges(request, file_, "\"new\""); });
  EXPECT_EQ(fetch({server.url(), "", 0, ""}), std::nullopt) << message_;
  EXPECT_EQ(part(), file_);
  EXPECT_EQ(read_file(place_.tag), "\"new\"\n300000\n");
}

TEST_F(Http, WithoutRangeSupportItStartsOver) {
  leave_part(noise(1000), "\"v1\"");
  HttpServer server([&](const HttpRequest&) { return HttpAnswer{200, {"ETag: \"v1\""}, file_}; });
  EXPECT_EQ(fetch({server.url(), "", 0, ""}), std::nullopt) << message_;
  EXPECT_EQ(part(), file_);
}

TEST_F(Http, APartOfUnknownVersionIsNotTrusted) {
  leave_part("something else", "");
  HttpServer server([&](const HttpRequest& request) { return serve_with_ranges(request, file_, "\"v1\""); });
  EXPECT_EQ(fetch({server.url(), "", 0, ""}), std::nullopt) << message_;
  EXPECT_EQ(part(), file_);
  EXPECT_EQ(server.requests()[0].header("range"), "");
}

TEST_F(Http, ADamagedPartIsFoundByTheHashAndFetchedAnew) {
  leave_part(std::string(1000, 'x'), "");
  HttpServer server([&](const HttpRequest& request) { return serve_with_ranges(request, file_, "\"v1\""); });
  EXPECT_EQ(fetch({server.url(), "", 0, hash_of(file_)}), std::nullopt) << message_;
  EXPECT_EQ(part(), file_);
  EXPECT_EQ(server.requests().size(), 2u);
}

// The first answer breaks off after 100,000 bytes; `rest` says what a request for the rest gets.
class HttpRest : public Http {
 protected:
  std::optional<ErrorKind> fetch_from(std::function<HttpAnswer(size_t offset)> rest,
                                      const std::string& first_tag = "\"v1\"") {
    HttpServer server([&](const HttpRequest& request) {
      const std::string range = request.header("range");
      if (!range.empty()) return rest(std::stoul(range.substr(6)));
      HttpAnswer answer = serve_with_ranges(request, file_, first_tag);
      if (requests_++ == 0) answer.break_after = 100'000;
      return answer;
    });
    const auto kind = fetch({server.url(), "", 0, ""});
    fetched_ = server.requests().size();
    return kind;
  }
  static HttpAnswer part_of(const std::string& file, size_t begin, size_t end, const std::string& tag) {
    return {206,
            {"ETag: " + tag, "Content-Range: bytes " + std::to_string(begin) + "-" + std::to_string(end - 1) + "/" +
                                 std::to_string(file.size())},
            file.substr(begin, end - begin)};
  }

  int requests_ = 0;
  size_t fetched_ = 0;
};

// A plain mirror may answer with less than the rest (RFC 9110, 15.3.7): what came was published as the whole file.
TEST_F(HttpRest, APartShorterThanAskedIsFollowedByTheNext) {
  EXPECT_EQ(fetch_from([&](size_t offset) {
              return part_of(file_, offset, std::min(offset + 60'000, file_.size()), "\"v1\"");
            }),
            std::nullopt)
      << message_;
  EXPECT_EQ(part(), file_);
  EXPECT_EQ(fetched_, 5u);
}

TEST_F(HttpRest, APartOfUnknownTotalIsFollowedToItsEnd) {
  EXPECT_EQ(fetch_from([&](size_t offset) -> HttpAnswer {
              if (offset >= file_.size()) return {416, {"Content-Range: bytes */" + std::to_string(file_.size())}, ""};
              const size_t end = std::min(offset + 60'000, file_.size());
              return {206,
                      {"ETag: \"v1\"",
                       "Content-Range: bytes " + std::to_string(offset) + "-" + std::to_string(end - 1) + "/*"},
                      file_.substr(offset, end - offset)};
            }),
            std::nullopt)
      << message_;
  EXPECT_EQ(part(), file_);
}

TEST_F(HttpRest, APartOfAnotherVersionIsNotPutBehindOurs) {
  const std::string other = std::string(300'000, 'o');
  EXPECT_EQ(fetch_from([&](size_t offset) { return part_of(other, offset, other.size(), "\"v2\""); }), std::nullopt)
      << message_;
  EXPECT_EQ(part(), file_);  // all of it, asked for anew
  EXPECT_EQ(fetched_, 3u);
}

TEST_F(HttpRest, APartOfAnotherSizeOrDateIsNotPutBehindOurs) {
  const std::string longer = std::string(300'001, 'o');
  EXPECT_EQ(fetch_from([&](size_t offset) {
              HttpAnswer answer = part_of(longer, offset, longer.size(), "\"v1\"");
              answer.headers.erase(answer.headers.begin());  // no ETag: only the size tells
              return answer;
            }),
            std::nullopt)
      << message_;
  EXPECT_EQ(part(), file_);
  remove_quietly(place_.part);
  requests_ = 0;
  const std::string date = "Last-Modified: Mon, 06 Jul 2026 10:00:00 GMT";
  HttpServer server([&](const HttpRequest& request) -> HttpAnswer {
    if (request.header("range").empty()) {
      HttpAnswer answer{200, {date}, file_};
      if (requests_++ == 0) answer.break_after = 100'000;
      return answer;
    }
    HttpAnswer answer = part_of(std::string(300'000, 'o'), 100'000, 300'000, "W/\"weak\"");
    answer.headers.push_back("Last-Modified: Tue, 07 Jul 2026 10:00:00 GMT");
    return answer;
  });
  EXPECT_EQ(fetch({server.url(), "", 0, ""}), std::nullopt) << message_;
  EXPECT_EQ(part(), file_);
}

TEST_F(HttpRest, APartLongerThanItsRangeEndsWhereTheRangeDoes) {
  EXPECT_EQ(fetch_from([&](size_t offset) {
              HttpAnswer answer = part_of(file_, offset, file_.size(), "\"v1\"");
              answer.body += std::string(offset, 'X');
              return answer;
            }),
            std::nullopt)
      << message_;
  EXPECT_EQ(part(), file_);
}

TEST_F(HttpRest, APartThatBeginsElsewhereIsFetchedAnew) {
  EXPECT_EQ(fetch_from([&](size_t) { return part_of(file_, 7, file_.size(), "\"v1\""); }), std::nullopt) << message_;
  EXPECT_EQ(part(), file_);
}

TEST_F(HttpRest, PartsWithoutAByteAndRangesOfNonsenseEnd) {
  EXPECT_EQ(fetch_from([&](size_t offset) {
              HttpAnswer answer = part_of(file_, offset, file_.size(), "\"v1\"");
              answer.body.clear();
              return answer;
            }),
            ErrorKind::kIo);
  for (const std::string range : {"bytes 100000-50/300000", "bytes 100000-300000/300000", "bytes -/5", "bytes */*",
                                  "bytes 100000-18446744073709551615/*", "cows 100000-299999/300000"}) {
    requests_ = 0;
    remove_quietly(place_.part);
    EXPECT_EQ(fetch_from([&](size_t offset) {
                return HttpAnswer{206, {"ETag: \"v1\"", "Content-Range: " + range}, file_.substr(offset)};
              }),
              std::nullopt)
        << range << ": " << message_;
    EXPECT_EQ(part(), file_) << range;
  }
}

// Some mirrors give a file another ETag on each of their machines.
TEST_F(HttpRest, AFileThatChangesForEverEnds) {
  HttpServer server([&](const HttpRequest& request) {
    HttpAnswer answer = serve_with_ranges(request, file_, "\"v" + std::to_string(++requests_) + "\"");
    if (!request.header("range").empty())
      answer = part_of(file_, 100'000, 300'000, "\"v" + std::to_string(requests_) + "\"");
    else answer.break_after = 100'000;
    return answer;
  });
  EXPECT_EQ(fetch({server.url(), "", 0, ""}), ErrorKind::kIo);
  EXPECT_NE(message_.find("changes while it is fetched"), std::string::npos) << message_;
}

TEST_F(Http, TheSizeAnnouncedIsRememberedAcrossRuns) {
  leave_part(file_.substr(0, 1000), "\"v1\"\n299999");  // of a file that had another size, under the same ETag
  HttpServer server([&](const HttpRequest& request) {
    HttpAnswer answer = serve_with_ranges(request, file_, "\"v1\"");
    return answer;
  });
  EXPECT_EQ(fetch({server.url(), "", 0, ""}), std::nullopt) << message_;
  EXPECT_EQ(part(), file_);
  EXPECT_EQ(server.requests().size(), 2u);
}

TEST_F(Http, AFileWithoutASizeHasALimit) {
  HttpServer server([&](const HttpRequest&) {
    return HttpAnswer{200, {"Transfer-Encoding: chunked"}, "493e0\r\n" + file_ + "\r\n0\r\n\r\n", {}, false};
  });
  EXPECT_EQ(fetch({server.url(), "", 0, ""}), std::nullopt) << message_;
  EXPECT_EQ(part(), file_);
  remove_quietly(place_.part);
  policy_.most_bytes = 200'000;
  EXPECT_EQ(fetch({server.url(), "", 0, ""}), ErrorKind::kLimit);
  EXPECT_NE(message_.find("does not say how long the file is"), std::string::npos) << message_;
  EXPECT_EQ(part(), "");
  EXPECT_EQ(fetch({server.url(), "", file_.size(), ""}), std::nullopt) << "one that we know is no matter: " << message_;
}

TEST_F(Http, AnErrorPageWithoutEndIsNotReadToItsEnd) {
  HttpServer server([&](const HttpRequest&) { return HttpAnswer{404, {}, std::string(30 << 20, 'x'), {}, false}; });
  EXPECT_EQ(fetch({server.url(), "", 0, ""}), ErrorKind::kNotFound);
}

TEST_F(Http, AHostThatIsNotFoundIsSaidAtOnce) {
  policy_.backoff = std::chrono::seconds(30);
  const auto start = std::chrono::steady_clock::now();
  for (const char* proxy : {"http_proxy", "all_proxy", "ALL_PROXY"}) home_.set(proxy, std::nullopt);
  // A name too long for DNS: nobody is asked.
  EXPECT_EQ(fetch({"http://" + std::string(64, 'a') + "/x", "", 0, ""}), ErrorKind::kIo);
  EXPECT_NE(message_.find("name is not found"), std::string::npos) << message_;
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(25));
}

TEST_F(Http, AWholePartIsRecognised) {
  leave_part(file_, "\"v1\"");
  HttpServer server([&](const HttpRequest& request) { return serve_with_ranges(request, file_, "\"v1\""); });
  EXPECT_EQ(fetch({server.url(), "", 0, ""}), std::nullopt) << message_;
  EXPECT_EQ(part(), file_);
}

TEST_F(Http, ATooLongPartIsFetchedAnew) {
  leave_part(file_ + "more", "\"v1\"");
  HttpServer server([&](const HttpRequest& request) { return serve_with_ranges(request, file_, "\"v1\""); });
  EXPECT_EQ(fetch({server.url(), "", 0, ""}), std::nullopt) << message_;
  EXPECT_EQ(part(), file_);
}

TEST_F(Http, RedirectsAreFollowedAndTheTokenStaysHome) {
  HttpServer elsewhere([&](const HttpRequest& request) { return serve_with_ranges(request, file_, "\"v1\""); });
  HttpServer server([&](const HttpRequest& request) {
    if (request.path == "/a") return HttpAnswer{302, {"Location: /b"}, "moved"};
    return HttpAnswer{302, {"Location: " + elsewhere.url() + "/c"}, "moved"};
  });
  EXPECT_EQ(fetch({server.url() + "/a", "secret", 0, ""}), std::nullopt) << message_;
  EXPECT_EQ(part(), file_);
  ASSERT_EQ(server.requests().size(), 2u);
  for (const HttpRequest& request : server.requests()) EXPECT_EQ(request.header("authorization"), "Bearer secret");
  ASSERT_EQ(elsewhere.requests().size(), 1u);
  EXPECT_EQ(elsewhere.requests()[0].header("authorization"), "");
}

TEST_F(Http, RedirectsInACircleEnd) {
  HttpServer server([&](const HttpRequest&) { return HttpAnswer{302, {"Location: /again"}, ""}; });
  EXPECT_EQ(fetch({server.url(), "", 0, ""}), ErrorKind::kIo);
}

TEST_F(Http, RedirectsToFilesOrOtherProtocolsAreRefused) {
  HttpServer server([&](const HttpRequest&) { return HttpAnswer{302, {"Location: file:///etc/passwd"}, ""}; });
  EXPECT_EQ(fetch({server.url(), "", 0, ""}), ErrorKind::kIo);
  EXPECT_EQ(part(), "");
}

TEST_F(Http, TheHubsAnnouncedHashIsChecked) {
  for (const bool honest : {true, false}) {
    HttpServer server([&](const HttpRequest& request) {
      if (request.path == "/cdn") return serve_with_ranges(request, file_, "\"cdn\"");
      return HttpAnswer{302,
                        {"Location: /cdn", "X-Linked-Size: " + std::to_string(file_.size()),
                         "X-Linked-Etag: \"" + hash_of(honest ? file_ : "other") + "\""},
                        ""};
    });
    EXPECT_EQ(fetch({server.url() + "/hub", "", 0, ""}), honest ? std::nullopt : std::optional(ErrorKind::kBadFile))
        << message_;
    remove_quietly(place_.part);
  }
}

TEST_F(Http, HttpErrorsAreSentences) {
  int status = 0;
  HttpServer server([&](const HttpRequest&) { return HttpAnswer{status, {}, "<html>an error page</html>"}; });
  const struct {
    int status;
    ErrorKind kind;
    const char* says;
    size_t requests;
  } cases[] = {{404, ErrorKind::kNotFound, "no such file", 1},
               {401, ErrorKind::kIo, "private, gated or not there", 1},
               {403, ErrorKind::kIo, "private, gated or not there", 1},
               {400, ErrorKind::kIo, "HTTP 400", 1},
               {503, ErrorKind::kIo, "cannot answer now (HTTP 503) (tried 3 times)", 3}};
  size_t requests = 0;
  for (const auto& expected : cases) {
    status = expected.status;
    EXPECT_EQ(fetch({server.url(), "", 0, ""}), expected.kind);
    EXPECT_NE(message_.find(expected.says), std::string::npos) << message_;
    EXPECT_NE(message_.find(server.url()), std::string::npos) << message_;
    EXPECT_EQ(part(), "") << "an error page is no file";
    EXPECT_EQ(server.requests().size() - requests, expected.requests);
    requests = server.requests().size();
  }
}

TEST_F(Http, ABusyServerIsAskedAgain) {
  int left = 2;
  HttpServer server([&](const HttpRequest& request) {
    return left-- > 0 ? HttpAnswer{429, {}, "slow down"} : serve_with_ranges(request, file_, "\"v1\"");
  });
  EXPECT_EQ(fetch({server.url(), "", 0, ""}), std::nullopt) << message_;
  EXPECT_EQ(part(), file_);
}

TEST_F(Http, NobodyThere) {
  std::string url;
  {
    url = HttpServer([](const HttpRequest&) { return HttpAnswer{}; }).url();
  }
  EXPECT_EQ(fetch({url, "", 0, ""}), ErrorKind::kIo);
  EXPECT_NE(message_.find("the connection failed"), std::string::npos) << message_;
}

TEST_F(Http, AWrongHashLeavesNothing) {
  HttpServer server([&](const HttpRequest& request) { return serve_with_ranges(request, file_, "\"v1\""); });
  EXPECT_EQ(fetch({server.url(), "", 0, hash_of("other")}), ErrorKind::kBadFile);
  EXPECT_NE(message_.find(hash_of("other")), std::string::npos) << message_;
  EXPECT_NE(message_.find(hash_of(file_)), std::string::npos) << message_;
  EXPECT_EQ(part(), "");
}

TEST_F(Http, AWrongSizeIsRefusedBeforeItIsFetched) {
  HttpServer server([&](const HttpRequest& request) { return serve_with_ranges(request, file_, "\"v1\""); });
  EXPECT_EQ(fetch({server.url(), "", file_.size() + 1, ""}), ErrorKind::kBadFile);
  EXPECT_NE(message_.find("300000 bytes, not 300001"), std::string::npos) << message_;
}

TEST_F(Http, AnEndThatCannotBeToldFromABreakIsRefused) {
  HttpServer server([&](const HttpRequest&) { return HttpAnswer{200, {}, file_, {}, false}; });
  EXPECT_EQ(fetch({server.url(), "", 0, ""}), ErrorKind::kIo);
  EXPECT_EQ(fetch({server.url(), "", file_.size(), ""}), std::nullopt) << message_;  // the size tells
  EXPECT_EQ(part(), file_);
}

TEST_F(Http, MoreThanTheFileIsRefused) {
  HttpServer server([&](const HttpRequest&) { return HttpAnswer{200, {}, file_ + "more", {}, false}; });
  EXPECT_EQ(fetch({server.url(), "", file_.size(), ""}), ErrorKind::kBadFile);
}

TEST_F(Http, APartThatWasNotAskedForIsRefused) {
  HttpServer server([&](const HttpRequest&) { return HttpAnswer{206, {"Content-Range: bytes 7-9/10"}, "abc"}; });
  EXPECT_EQ(fetch({server.url(), "", 0, ""}), ErrorKind::kIo);
  EXPECT_EQ(part(), "");
}

TEST_F(Http, AStopKeepsWhatIsThere) {
  leave_part(file_.substr(0, 1000), "\"v1\"");
  HttpServer server([&](const HttpRequest& request) { return serve_with_ranges(request, file_, "\"v1\""); });
  EXPECT_EQ(fetch({server.url(), "", 0, ""}, [](std::string_view, uint64_t, uint64_t) { return false; }),
            ErrorKind::kLimit);
  EXPECT_GE(part().size(), 1000u);
  EXPECT_EQ(fetch({server.url(), "", 0, ""}), std::nullopt) << message_;
  EXPECT_EQ(part(), file_);
}

}  // namespace
}  // namespace fieldprint
