#include "memory/actions.h"

namespace fieldprint::cli {

namespace {

constexpr Command kActions[] = {
    {"init", "Begin", "Make a memory, and with --generate-keys the keys of those above it", add_memory_init},
    {"keygen", "Begin", "Make a key, or show the public half of one", add_memory_keygen},
    {"status", "Begin", "Show how a memory stands: records, keys, policy", add_memory_status},
    {"install", "Begin", "Tell Claude Code and Codex of this memory: MCP server and hooks", add_memory_install},
    {"add", "Records", "Remember a text, stamped with where it comes from", add_memory_add},
    {"search", "Records", "Recall what is like a question", add_memory_search},
    {"list", "Records", "List records, the newest last", add_memory_list},
    {"show", "Records", "Show a record", add_memory_show},
    {"explain", "Records", "Show where a record comes from: lineage, events, proof", add_memory_explain},
    {"suspend", "Records", "Put a record, and all that descends from it, out of use", add_memory_suspend},
    {"erase", "Records", "Destroy the key of a record's text; that it was there stays provable", add_memory_erase},
    {"propose", "Signed changes", "Make a candidate for endorsement from a text or a record", add_memory_propose},
    {"endorse", "Signed changes", "Make a candidate an anchor, with approvers' signatures", add_memory_endorse},
    {"release", "Signed changes", "Lift a suspension, with approvers' signatures", add_memory_release},
    {"revoke", "Signed changes", "Revoke a record and all that descends from it, for ever", add_memory_revoke},
    {"supersede", "Signed changes", "Put an anchor in the place of another", add_memory_supersede},
    {"statement", "Signed changes", "Write what has to be signed", add_memory_statement},
    {"sign", "Signed changes", "Sign a statement; needs the key and no memory", add_memory_sign},
    {"submit", "Signed changes", "Put a signed statement into force", add_memory_submit},
    {"override", "Signed changes", "Stop, freeze, revoke in whatever state the rest is", nullptr, override_actions},
    {"log", "Proof", "List events of the ledger, the newest last", add_memory_log},
    {"proof", "Proof", "Write the proof that an event is in the ledger", add_memory_proof},
    {"checkpoint", "Proof", "Write the signed head of the ledger", add_memory_checkpoint},
    {"verify", "Proof", "Check everything again: hashes, signatures, rules, texts", add_memory_verify},
    {"export", "Proof", "Write what fieldprint-verify checks", add_memory_export},
    {"witness", "Proof", "Cosign checkpoints, apart from the memory", nullptr, witness_actions},
    {"audit", "Proof", "Compute a session's commits again from an export, and compare every bit", add_memory_audit},
    {"monitor", "Proof", "See whether a run drifts away from its anchors, from an export", add_memory_monitor},
    {"serve", "For programs", "Keep a memory open for many clients, and speak MCP over HTTP", add_memory_serve},
    {"mcp", "For programs", "An MCP server on standard input and output", add_memory_mcp},
    {"hook", "For programs", "Answer a hook of Claude Code or Codex: JSON in, JSON out", add_memory_hook},
};

}  // namespace

std::span<const Command> memory_actions() { return kActions; }

}  // namespace fieldprint::cli
