#include "support/memory_fixture.h"

#include <unistd.h>

#include <atomic>

namespace fieldprint {

namespace {
std::atomic<int> counter{0};
}

MemoryFixture::MemoryFixture(MemorySetup setup)
    : root_(std::filesystem::temp_directory_path() /
            ("fieldprint-memory-" + std::to_string(getpid()) + "-" + std::to_string(counter++))) {
  std::filesystem::create_directories(root_);
  const std::pair<const char*, const char*> keys[] = {{"root", "root"},          {"operator", "operator"},
                                                      {"approver", "approver1"}, {"approver", "approver2"},
                                                      {"approver", "approver3"}, {"", "outsider"}};
  for (const auto& [role, name] : keys) {
    const std::string vkey = make_memory_key(name, key(name));
    if (*role) setup.keys.push_back({role, vkey});
  }
  setup.directory = directory();
  if (setup.origin.empty()) setup.origin = "test.example/memory";
  make_memory(setup);
  reopen();
}

MemoryFixture::~MemoryFixture() {
  memory_.reset();
  std::error_code ignored;
  std::filesystem::remove_all(root_, ignored);
}

void MemoryFixture::reopen(MemoryOptions options) {
  memory_.reset();
  options.directory = directory();
  memory_ = std::make_unique<memory::Memory>(options);
}

ledger::Note MemoryFixture::sign(std::string_view action, std::vector<std::pair<std::string, std::string>> fields,
                                 const std::vector<std::string>& keys) const {
  std::string text = memory::statement_text(memory_->statement(action, fields));
  for (const std::string& name : keys) text = sign_statement(text, key(name));
  if (keys.empty()) return {text, {}};
  return ledger::parse_note(text);
}

memory::RecordId MemoryFixture::anchor(const std::string& text) {
  memory::Offer offer;
  offer.text = text;
  offer.channel = "user";
  const auto candidate = memory_->propose(user, offer);
  return *submit("endorse", {{"record", memory::hex(candidate.id)}}, {"approver1", "approver2"}).anchor;
}

}  // namespace fieldprint
