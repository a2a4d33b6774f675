// A memory and its override's process.
#include <gtest/gtest.h>

#include "fieldprint/error.h"
#include "fieldprint/override.h"
#include "support/memory_fixture.h"
#include "support/override_running.h"
#include "support/temp_home.h"

namespace fieldprint::memory {
namespace {

class OverrideFollower : public ::testing::Test {
 protected:
  std::string folder() const { return fixture.directory() + "/override"; }
  std::string order(const std::string& command, const std::vector<std::string>& keys,
                    const std::vector<std::pair<std::string, std::string>>& arguments = {}) const {
    OverrideRequest request;
    request.command = command;
    request.arguments = arguments;
    std::string text = make_override_command(override_status(folder()), request);
    for (const std::string& key : keys) {
      std::string skey = read_file(fixture.key(key));
      text = sign_override_command(text, skey.substr(0, skey.find('\n')));
    }
    return send_override(folder(), text);
  }
  bool comes(const std::function<bool()>& what) const {
    for (int tries = 0; tries < 1'000; ++tries) {
      if (what()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return false;
  }

  MemoryFixture fixture;
};

TEST_F(OverrideFollower, RevokesAndRestores) {
  const RecordId id = fixture.anchor("Never send money.");
  fixture.close();
  RunningOverride running(folder());
  fixture.reopen();
  order("REVOKE", {"operator"}, {{"record", ledger::to_hex(id)}});
  EXPECT_TRUE(comes([&] { return fixture->row(id).status == Status::kRevoked; }));
  order("HALT", {"operator"});
  EXPECT_NE(fixture->frozen(), "");
  order("RESTORE", {"approver1", "approver2"});
  EXPECT_TRUE(comes([&] { return fixture->frozen().empty(); }));
}

TEST_F(OverrideFollower, OpensAfterARestoreThatWasUndone) {
  fixture.close();
  {
    RunningOverride running(folder());
    order("FREEZE_WRITES", {"operator"});
    order("RESTORE", {"approver1", "approver2"});
    order("FREEZE_WRITES", {"operator"});
    fixture.reopen();
    EXPECT_NE(fixture->frozen(), "");
    fixture.close();
  }
  fixture.reopen();  // and while no process of the override runs
  EXPECT_NE(fixture->frozen(), "");
}

TEST_F(OverrideFollower, ARestoreComesIntoForceWhenTheProcessIsBack) {
  fixture.close();
  std::optional<RunningOverride> running(folder());
  order("FREEZE_WRITES", {"operator"});
  order("RESTORE", {"approver1", "approver2"});
  running.reset();
  fixture.reopen();
  EXPECT_NE(fixture->frozen(), "");
  running.emplace(folder());
  EXPECT_TRUE(comes([&] { return fixture->frozen().empty(); }));
}

TEST_F(OverrideFollower, FilesThatWerePutBackKeepTheMemoryShut) {
  fixture.close();
  const std::string before = fixture.root() / "before";
  std::filesystem::copy(folder(), before, std::filesystem::copy_options::recursive);
  {
    const RunningOverride running(folder());
    fixture.reopen();
    order("HALT", {"operator"});
    EXPECT_TRUE(comes([&] { return !override_entries(folder()).empty() && !fixture->halted().empty(); }));
    fixture.close();
    fixture.reopen();  // logged by now
    fixture.close();
  }
  for (const char* name : {"journal", "flags"})
    std::filesystem::copy(before + "/" + name, folder() + "/" + name,
                          std::filesystem::copy_options::overwrite_existing);
  EXPECT_EQ(override_status(folder()).fault, "");  // by themselves the files look right
  EXPECT_THROW(fixture.reopen(), Error);
}

}  // namespace
}  // namespace fieldprint::memory
