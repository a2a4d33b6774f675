// The actions of `fieldprint memory`. To add one: a function in one of the files here, and a row in the table of
// actions.cpp.
#pragma once

#include <span>

#include "command.h"

namespace fieldprint::cli {

std::span<const Command> memory_actions();
std::span<const Command> override_actions();  // of `fieldprint memory override`
std::span<const Command> witness_actions();   // of `fieldprint memory witness`

Action add_memory_init(CLI::App& app);
Action add_memory_keygen(CLI::App& app);
Action add_memory_status(CLI::App& app);

Action add_memory_add(CLI::App& app);
Action add_memory_search(CLI::App& app);
Action add_memory_list(CLI::App& app);
Action add_memory_show(CLI::App& app);
Action add_memory_explain(CLI::App& app);
Action add_memory_erase(CLI::App& app);
Action add_memory_suspend(CLI::App& app);

Action add_memory_propose(CLI::App& app);
Action add_memory_endorse(CLI::App& app);
Action add_memory_release(CLI::App& app);
Action add_memory_revoke(CLI::App& app);
Action add_memory_supersede(CLI::App& app);
Action add_memory_statement(CLI::App& app);
Action add_memory_sign(CLI::App& app);
Action add_memory_submit(CLI::App& app);

Action add_memory_log(CLI::App& app);
Action add_memory_proof(CLI::App& app);
Action add_memory_checkpoint(CLI::App& app);
Action add_memory_verify(CLI::App& app);
Action add_memory_export(CLI::App& app);
Action add_memory_audit(CLI::App& app);
Action add_memory_monitor(CLI::App& app);

Action add_memory_serve(CLI::App& app);
Action add_memory_mcp(CLI::App& app);
Action add_memory_hook(CLI::App& app);
Action add_memory_install(CLI::App& app);

}  // namespace fieldprint::cli
