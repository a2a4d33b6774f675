#include "server/conversations.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <thread>
#include <vector>

#include "fieldprint/error.h"
#include "server/api_error.h"

namespace fieldprint::server {
namespace {

using nlohmann::json;

json message(const char* role, const char* content, const json& parent = nullptr) {
  return {{"role", role}, {"content", content}, {"parent", parent}};
}

// The status that a call is refused with, and the field that it blames.
template <class Call>
std::string refusal(Call&& call) {
  try {
    call();
  } catch (const ApiError& error) {
    return std::to_string(error.status) + " " + error.parameter;
  }
  return "none";
}

std::vector<std::string> titles(const json& list) {
  std::vector<std::string> out;
  for (const auto& entry : list["conversations"]) out.push_back(entry["title"]);
  return out;
}

struct ConversationsTest : testing::Test {
  std::filesystem::path folder =
      std::filesystem::temp_directory_path() / ("fieldprint-conversations-" + std::to_string(::getpid()));
  std::filesystem::path file = folder / "deeper" / "conversations.db";

  void SetUp() override { std::filesystem::remove_all(folder); }
  void TearDown() override { std::filesystem::remove_all(folder); }
};

TEST_F(ConversationsTest, EditsAndOtherAnswersAreBranches) {
  Conversations store({});
  const std::string id = store.create("", {{"title", "Sky"}, {"settings", {{"temperature", 0.5}}}})["id"];
  const auto question = store.add_message("", id, message("user", "Why is the sky blue?"));
  const auto answer = store.add_message("", id, message("assistant", "Because.", question["id"]));
  const auto another = store.add_message("", id, message("assistant", "Rayleigh.", question["id"]));
  const auto edited = store.add_message("", id, message("user", "Why is the sea blue?"));
  EXPECT_EQ(edited["parent"], nullptr);

  auto whole = store.get("", id);
  EXPECT_EQ(whole["settings"], json({{"temperature", 0.5}}));
  EXPECT_EQ(whole["leaf"], edited["id"]);
  ASSERT_EQ(whole["messages"].size(), 4u);
  EXPECT_EQ(whole["messages"][1]["parent"], question["id"]);
  EXPECT_EQ(whole["messages"][2]["content"], "Rayleigh.");

  store.change("", id, {{"leaf", answer["id"]}, {"title", "Colours"}});
  store.change_message("", id, another["id"], {{"content", "Scattering."}, {"details", {{"hash", "ab"}}}});
  whole = store.get("", id);
  EXPECT_EQ(whole["leaf"], answer["id"]);
  EXPECT_EQ(whole["title"], "Colours");
  EXPECT_EQ(whole["messages"][2]["content"], "Scattering.");
  EXPECT_EQ(whole["messages"][2]["details"], json({{"hash", "ab"}}));

  // With a question goes what hangs below it; the branch that is shown then ends above.
  store.remove_message("", id, answer["id"]);
  EXPECT_EQ(store.get("", id)["leaf"], question["id"]);
  store.remove_message("", id, question["id"]);
  whole = store.get("", id);
  EXPECT_EQ(whole["leaf"], nullptr);
  ASSERT_EQ(whole["messages"].size(), 1u);
  EXPECT_EQ(whole["messages"][0]["id"], edited["id"]);

  store.remove("", id);
  EXPECT_EQ(refusal([&] { store.get("", id); }), "404 id");
  EXPECT_TRUE(titles(store.list("", "", 10, "")).empty());
}

TEST_F(ConversationsTest, SearchFindsWordsOfTitlesAndMessages) {
  Conversations store({});
  const std::string first = store.create("", {{"title", "Häuser in Lyon"}})["id"];
  const std::string second = store.create("", {{"title", "Cooking"}})["id"];
  const auto added =
      store.add_message("", second, message("user", "How long do I boil an egg? A \"soft\" one, 100% runny"));
  const auto found = [&](const char* query) { return titles(store.list("", query, 10, "")); };
  EXPECT_EQ(found("hauser"), std::vector<std::string>{"Häuser in Lyon"});  // accents do not count
  EXPECT_EQ(found("lyon HÄUSER"), std::vector<std::string>{"Häuser in Lyon"});
  EXPECT_EQ(found("boi"), std::vector<std::string>{"Cooking"});  // the beginning of a word
  EXPECT_EQ(found("egg lyon"), std::vector<std::string>{});
  EXPECT_EQ(found("").size(), 2u);
  EXPECT_NE(store.list("", "egg", 10, "")["conversations"][0]["snippet"].get<std::string>().find("boil an egg"),
            std::string::npos);
  // Nothing that is typed is SQL or an operator of the search.
  for (const char* odd :
       {"\"", "egg\" OR \"x", "*", "NEAR(", "title:lyon", "'; DROP TABLE messages; --", "-", "^egg", "(egg)", "💥"}) {
    EXPECT_NO_THROW(found(odd)) << odd;
  }
  EXPECT_EQ(found("\"soft\""), std::vector<std::string>{"Cooking"});
  // What is changed or gone is not found any more.
  store.change_message("", second, added["id"], {{"content", "How long do I fry it?"}});
  EXPECT_TRUE(found("egg").empty());
  EXPECT_EQ(found("fry").size(), 1u);
  store.change("", first, {{"title", "Paris"}});
  EXPECT_TRUE(found("lyon").empty());
  store.remove("", second);
  EXPECT_TRUE(found("fry").empty());
}

TEST_F(ConversationsTest, ListsGoOnWhereTheyStopped) {
  Conversations store({});
  for (int i = 0; i < 7; ++i) store.create("", {{"title", std::to_string(i)}});
  std::vector<std::string> all;
  std::string before;
  for (int calls = 0; calls < 4; ++calls) {
    const auto list = store.list("", "", 3, before);
    for (const auto& title : titles(list)) all.push_back(title);
    if (list["next"].is_null()) break;
    before = list["next"];
  }
  EXPECT_EQ(all, (std::vector<std::string>{"6", "5", "4", "3", "2", "1", "0"}));
  EXPECT_EQ(refusal([&] { store.list("", "", 0, ""); }), "400 limit");
  EXPECT_EQ(refusal([&] { store.list("", "", 3, "yesterday"); }), "400 before");
}

TEST_F(ConversationsTest, OwnersDoNotSeeEachOther) {
  Conversations store({});
  const std::string id = store.create("ann", {{"title", "Secret plans"}})["id"];
  const auto added = store.add_message("ann", id, message("user", "of mine"));
  EXPECT_TRUE(titles(store.list("bob", "", 10, "")).empty());
  EXPECT_TRUE(titles(store.list("bob", "plans", 10, "")).empty());
  EXPECT_TRUE(store.export_all("bob", "")["conversations"].empty());
  EXPECT_EQ(refusal([&] { store.get("bob", id); }), "404 id");
  EXPECT_EQ(refusal([&] { store.change("bob", id, {{"title", "x"}}); }), "404 id");
  EXPECT_EQ(refusal([&] { store.remove("bob", id); }), "404 id");
  EXPECT_EQ(refusal([&] { store.add_message("bob", id, message("user", "x")); }), "404 id");
  EXPECT_EQ(refusal([&] { store.change_message("bob", id, added["id"], {{"content", "x"}}); }), "404 id");
  EXPECT_EQ(refusal([&] { store.export_all("bob", id); }), "404 id");
  // Not even that an id is taken can be seen.
  const auto exported = store.export_all("ann", "");
  EXPECT_EQ(store.import_all("bob", exported)["conversations"][0]["id"], id);
  EXPECT_EQ(store.get("bob", id)["messages"].size(), 1u);
}

TEST_F(ConversationsTest, AnExportComesBackAsItWas) {
  Conversations store({});
  const std::string id = store.create("", {{"title", "One"}, {"settings", {{"system", "Be brief."}}}})["id"];
  const auto question = store.add_message("", id, message("user", "a\n\"b\" \xF0\x9F\x90\xA6", nullptr));
  store.add_message("", id, {{"role", "assistant"}, {"parent", question["id"]}, {"details", {{"n", 1.5}}}});
  const auto exported = store.export_all("", "");
  Conversations other({});
  EXPECT_EQ(other.import_all("", json::parse(exported.dump()))["conversations"][0]["id"], id);
  EXPECT_EQ(other.export_all("", ""), exported);
  EXPECT_EQ(other.export_all("", id), exported);
  // Once more: beside the first, under another id.
  const std::string again = other.import_all("", exported)["conversations"][0]["id"];
  EXPECT_NE(again, id);
  EXPECT_EQ(other.get("", again)["messages"], other.get("", id)["messages"]);
}

TEST_F(ConversationsTest, WrongInputIsRefusedByTheFieldThatIsToBlame) {
  Conversations store({});
  const std::string id = store.create("", json::object())["id"];
  const auto create = [&](const json& fields) { return refusal([&] { store.create("", fields); }); };
  EXPECT_EQ(create(json::array()), "400 ");
  EXPECT_EQ(create({{"title", 5}}), "400 title");
  EXPECT_EQ(create({{"settings", "x"}}), "400 settings");
  EXPECT_EQ(create({{"title", std::string(Conversations::kTitleBytes + 1, 'x')}}), "413 title");
  const auto add = [&](const json& fields) { return refusal([&] { store.add_message("", id, fields); }); };
  EXPECT_EQ(add({{"content", "x"}}), "400 role");
  EXPECT_EQ(add(message("pope", "x")), "400 role");
  EXPECT_EQ(add(message("user", "x", "m-none")), "404 parent");
  EXPECT_EQ(add({{"role", "user"}, {"content", json::array()}}), "400 content");
  EXPECT_EQ(add({{"role", "user"}, {"content", std::string(Conversations::kContentBytes + 1, 'x')}}), "413 content");
  EXPECT_EQ(refusal([&] { store.change("", id, {{"leaf", "m-none"}}); }), "404 leaf");

  const auto import = [&](json conversation) {
    json exported = {{"format", "fieldprint-conversations"},
                     {"version", 1},
                     {"conversations", {{{"messages", json::array()}}, conversation}}};
    return refusal([&] { store.import_all("", exported); });
  };
  const json m1 = {{"id", "1"}, {"role", "user"}}, m2 = {{"id", "2"}, {"role", "user"}, {"parent", "3"}};
  EXPECT_EQ(import({{"title", "none"}}), "400 conversations[1].messages");
  EXPECT_EQ(import({{"messages", {m1, m1}}}), "400 conversations[1].messages[1].id");
  EXPECT_EQ(import({{"messages", {m1, m2}}}), "400 conversations[1].messages[1].parent");
  EXPECT_EQ(import({{"messages", {m1}}, {"leaf", "9"}}), "400 conversations[1].leaf");
  EXPECT_EQ(import({{"messages", json::array()}, {"created", "now"}}), "400 conversations[1].created");
  EXPECT_EQ(refusal([&] { store.import_all("", json::object()); }), "400 format");
  EXPECT_EQ(refusal([&] {
              store.import_all("", {{"format", "fieldprint-conversations"}, {"version", 2}});
            }),
            "400 version");
  // Of a file with a fault nothing is taken, and nothing that was refused left a trace.
  EXPECT_EQ(store.list("", "", 10, "")["conversations"].size(), 1u);
  EXPECT_TRUE(store.get("", id)["messages"].empty());
}

TEST_F(ConversationsTest, WhatWasSavedSurvivesAKill) {
  int told[2];
  ASSERT_EQ(::pipe(told), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    Conversations store(file);
    const std::string id = store.create("", {{"title", "Kept"}})["id"];
    for (int i = 0;; ++i) {
      store.add_message("", id, message("user", "word"));
      if (::write(told[1], "x", 1) != 1) ::_exit(1);  // only now has the client been told
    }
  }
  ::close(told[1]);
  char byte;
  int64_t acknowledged = 0;
  while (acknowledged < 20 && ::read(told[0], &byte, 1) == 1) ++acknowledged;
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  while (::read(told[0], &byte, 1) == 1) ++acknowledged;
  ::close(told[0]);

  Conversations store(file);
  EXPECT_EQ(store.notice(), "");
  const auto list = store.list("", "word", 10, "");
  ASSERT_EQ(titles(list), std::vector<std::string>{"Kept"});
  const int64_t kept = list["conversations"][0]["messages"];
  EXPECT_GE(acknowledged, 20);
  EXPECT_TRUE(kept == acknowledged || kept == acknowledged + 1) << kept << " of " << acknowledged;
}

TEST_F(ConversationsTest, ADamagedFileIsMovedAside) {
  std::string id;
  {
    Conversations store(file);
    id = store.create("", {{"title", "First"}})["id"];
    for (int i = 0; i < 50; ++i) store.add_message("", id, message("user", std::string(2000, 'x').c_str()));
  }
  for (const bool head : {false, true}) {
    if (!head) {
      std::fstream damage(file, std::ios::in | std::ios::out | std::ios::binary);
      damage.seekp(8192);
      damage << std::string(40'000, '\xA5');
    } else {
      std::ofstream(file, std::ios::trunc)
          << "this is no database at all, but text that somebody saved here by mistake";
    }
    std::ifstream before(file, std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(before), {}};
    const auto aside = file.string() + (head ? ".damaged-2" : ".damaged-1");
    Conversations store(file);
    EXPECT_NE(store.notice().find("damaged"), std::string::npos) << store.notice();
    EXPECT_NE(store.notice().find(aside), std::string::npos) << store.notice();
    std::ifstream after(aside, std::ios::binary);
    EXPECT_TRUE(bytes == std::string(std::istreambuf_iterator<char>(after), {}));
    EXPECT_TRUE(titles(store.list("", "", 10, "")).empty());
    store.create("", {{"title", "Goes on"}});
  }
}

TEST_F(ConversationsTest, FilesOfOthersStayWhereTheyAre) {
  std::filesystem::create_directories(file.parent_path());
  { Sqlite(file, "the database").run("CREATE TABLE bills (amount)"); }
  EXPECT_THROW(Conversations{file}, Error);
  std::filesystem::remove(file);
  { Conversations store(file); }
  { Sqlite(file, "the database").run("PRAGMA user_version = 99"); }
  try {
    Conversations store(file);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUnsupported);
    EXPECT_NE(std::string(error.what()).find("later version"), std::string::npos);
  }
  EXPECT_FALSE(std::filesystem::exists(file.string() + ".damaged-1"));
}

TEST_F(ConversationsTest, NobodyElseMayReadTheFile) {
  Conversations store(file);
  store.create("", {{"title", "x"}});
  for (const char* part : {"", "-wal"}) {
    EXPECT_EQ(std::filesystem::status(file.string() + part).permissions() & std::filesystem::perms::all,
              std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  }
}

TEST_F(ConversationsTest, ManyThreadsWrite) {
  Conversations store(file);
  const std::string id = store.create("", {{"title", "Shared"}})["id"];
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 10; ++i) {
        store.add_message("", id, message("user", "x"));
        store.list("", "x", 5, "");
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(store.get("", id)["messages"].size(), 40u);
}

}  // namespace
}  // namespace fieldprint::server
