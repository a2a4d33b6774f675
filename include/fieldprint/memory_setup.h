// Making a memory, and the keys of the people who stand above it. What they sign is text that can be carried to another
// machine and back: nothing here needs the memory itself but make_memory().
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace fieldprint {

struct MemoryKey {
  std::string role;  // "root", "operator", "approver", "witness"
  std::string vkey;  // C2SP: NAME+ID+BASE64
};

// Who has to cosign each checkpoint before it is published (fieldprint/memory_witness.h).
struct MemoryWitness {
  std::string vkey;
  std::string socket;  // where it answers
};

struct MemorySetup {
  std::string directory = {};  // must not be there, or be empty
  std::string origin = {};     // the ledger's name, such as example.org/assistant
  std::string agent = "assistant";
  std::string encoder = "ngram";  // "model": that of `model`, a GGUF file which must stay
  std::string model = {};
  std::vector<MemoryKey> keys = {};           // at least one each of root, operator and approver
  std::vector<MemoryWitness> witnesses = {};  // their keys are not in `keys`
  int64_t approvals = 1;                      // signatures of approvers that an endorsement needs,
  int64_t approvals_external = 2;             // and where something EXTERNAL is in it: 2 or more
  int64_t anchor_tokens = 128;                // of all anchors at most
};

// Writes the directory with its first event. On an error nothing is left of it. Throws Error kUsage, kIo.
void make_memory(const MemorySetup& setup);

// Writes a new key to `file` (0600, never over one that is there) and returns its vkey. Names have no spaces and no
// '+'. Throws Error kUsage, kIo.
std::string make_memory_key(const std::string& name, const std::string& file);
// The same for a witness, whose signatures also say when.
std::string make_witness_key(const std::string& name, const std::string& file);
std::string memory_key_of(const std::string& file);  // the vkey of a key file; Error kNotFound, kBadFile

// `statement` (or a note that others have signed) with one more signature. Refuses a text that is no statement, so that
// nobody signs something else unawares. Throws Error kBadInput, kBadFile.
std::string sign_statement(std::string_view statement, const std::string& key_file);

}  // namespace fieldprint
