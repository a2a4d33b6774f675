#include "override/command.h"

#include <gtest/gtest.h>

#include <random>

#include "fieldprint/error.h"
#include "support/override_people.h"

namespace fieldprint::overrides {
namespace {

const std::string kText =
    "fieldprint/override/v1\n"
    "cmd=REVOKE\n"
    "target=agent=tester\n"
    "counter=42\n"
    "prev=0000000000000000000000000000000000000000000000000000000000000000\n"
    "nonce=000102030405060708090a0b0c0d0e0f\n"
    "not-before=1796000000\n"
    "not-after=1796000900\n"
    "reason=9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\n"
    "record=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n";

std::string with(const std::string& before, const std::string& after) {
  std::string text = kText;
  const size_t at = text.find(before);
  EXPECT_NE(at, text.npos) << before;
  return text.replace(at, before.size(), after);
}

TEST(OverrideCommand, IsTheTextOfTheFormat) {
  const Command command = parse_command(kText);
  EXPECT_EQ(command.kind, Kind::kRevoke);
  EXPECT_EQ(command.target, "agent=tester");
  EXPECT_EQ(command.counter, 42u);
  EXPECT_EQ(command.not_before, 1796000000);
  EXPECT_EQ(command.not_after, 1796000900);
  EXPECT_EQ(command.nonce[15], std::byte{15});
  EXPECT_EQ(command.reason, ledger::sha256({ledger::view_of("test")}));
  EXPECT_EQ(command.argument("record"), std::string(64, 'a'));
  EXPECT_EQ(format_command(command), kText);
}

TEST(OverrideCommand, OfEveryKindIsReadAsItWasWritten) {
  const OverridePeople people;
  const State state(Root{});
  for (const CommandKind& kind : command_kinds()) {
    const Command command = people.next(state, kind.kind);
    EXPECT_EQ(parse_command(format_command(command)), command) << kind.name;
    EXPECT_EQ(command_kind(kind.name).kind, kind.kind);
  }
}

TEST(OverrideCommand, HasOneTextAndNoOther) {
  const std::string refused[] = {
      "",
      "\n",
      kText + "\n",
      kText + "extra=1\n",
      kText + kText.substr(kText.rfind("record")),
      kText.substr(0, kText.size() - 1),
      kText.substr(0, kText.rfind("record")),
      kText.substr(1),
      with("v1", "v2"),
      with("REVOKE", "revoke"),
      with("REVOKE", "NOTHING"),
      with("REVOKE", "HALT"),  // which has no record
      with("cmd=REVOKE\n", ""),
      with("cmd=REVOKE\n", "cmd=REVOKE\r\n"),
      with("cmd=REVOKE", "cmd =REVOKE"),
      with("cmd=REVOKE", " cmd=REVOKE"),
      with("agent=tester", "agent="),
      with("agent=tester", "Agent=tester"),
      with("agent=tester", "agent=" + std::string(65, 'x')),
      with("agent=tester", "agent=t\xC3\xA9st"),
      with("agent=tester", "instance=1"),
      with("agent=tester", "instance=" + std::string(32, 'A')),
      with("agent=tester", "**"),
      with("counter=42", "counter=042"),
      with("counter=42", "counter=+42"),
      with("counter=42", "counter=-1"),
      with("counter=42", "counter=0"),
      with("counter=42", "counter="),
      with("counter=42", "counter=0x2a"),
      with("counter=42", "counter=1099511627776"),
      with("counter=42", "counter=18446744073709551658"),
      with("prev=0", "prev="),
      with("prev=0", "prev=00"),
      with("0a0b", "0A0B"),
      with("not-after=1796000900", "not-after=1796000901"),
      with("not-after=1796000900", "not-after=1796000000"),
      with("not-after=1796000900", "not-after=1795999999"),
      with("not-before=1796000000", "not-before=-1"),
      with("record=a", "source=a"),
      with("record=a", "record=g"),
      with("record=a", "record="),
      "counter=42\n" + with("counter=42\n", ""),  // the order
  };
  for (const std::string& text : refused) EXPECT_THROW(parse_command(text), Error) << text;
}

TEST(OverrideCommand, ThatWasDamagedIsRefusedOrAnother) {
  std::mt19937 random(1);
  for (int i = 0; i < 20'000; ++i) {
    std::string text = kText;
    for (size_t changes = 1 + random() % 3; changes > 0; --changes) {
      const size_t at = random() % text.size();
      switch (random() % 4) {
        case 0:
          text[at] = static_cast<char>(text[at] ^ 1 << random() % 8);
          break;
        case 1:
          text.erase(at, 1 + random() % 40);
          break;
        case 2:
          text.insert(at, 1, static_cast<char>(random() % 256));
          break;
        default:
          text.insert(at, text.substr(random() % text.size(), random() % 80));
          break;
      }
      if (text.empty()) text = "x";
    }
    try {
      ASSERT_EQ(format_command(parse_command(text)), text);
    } catch (const Error&) {
    }
  }
}

TEST(OverrideCommand, ThatCouldNotBeReadIsNotWritten) {
  const Command good = parse_command(kText);
  for (const auto& spoil : std::initializer_list<void (*)(Command&)>{
           [](Command& c) { c.target = "agent=a\nb"; }, [](Command& c) { c.counter = 0; },
           [](Command& c) { c.not_after = c.not_before + 901; }, [](Command& c) { c.arguments.clear(); },
           [](Command& c) { c.arguments[0].second += "\nx=1"; }, [](Command& c) { c.arguments[0].first = "source"; }}) {
    Command command = good;
    spoil(command);
    EXPECT_THROW(format_command(command), Error);
  }
}

}  // namespace
}  // namespace fieldprint::overrides
