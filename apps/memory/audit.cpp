// `fieldprint memory audit`: what a model had read and said, computed again from an export.
#include <fmt/format.h>

#include "fieldprint/error.h"
#include "fieldprint/memory_commits.h"
#include "memory/access.h"
#include "memory/actions.h"
#include "options.h"
#include "output.h"
#include "signals.h"

namespace fieldprint::cli {

namespace {

constexpr int kDifferent = 1;  // the exit code where bits part

struct AuditChoice {
  std::string directory, session;
  ModelOptions model;
  bool json = false, quiet = false;

  int operator()() const;
};

int AuditChoice::operator()() const {
  need(directory, "which export?", "`fieldprint memory export DIR --payloads` writes one");
  const SignalGuard guard;
  const auto loaded = load_model(model);
  const std::vector<std::string> sessions = session.empty() ? audit_sessions(directory) : std::vector{session};
  if (sessions.empty()) throw Error(ErrorKind::kNotFound, "the export has no commits", directory);
  Json all = Json::array();
  bool same = true;
  for (const std::string& one : sessions) {
    ProgressBar bar(ProgressBar::Unit::kCount, quiet);
    const Audit audit =
        audit_memory(directory, one, loaded, {model.session.executor, model.session.kv_type}, bar.callback());
    bar.wipe();
    same = same && audit.same;
    if (json) {
      all.push_back({{"session", one},
                     {"commits", audit.commits},
                     {"tokens", audit.tokens},
                     {"same", audit.same},
                     {"difference", audit.difference}});
    } else {
      write_out(fmt::format("{}  {}, {} tokens computed again: {}\n", printable_line(one),
                            counted(audit.commits, "commit"), audit.tokens,
                            !audit.same        ? audit.difference
                            : audit.tokens > 0 ? "the same bits"
                                               : "no state to compare"));
    }
  }
  if (json) write_json(all, 2);
  return same ? kDone : kDifferent;
}

}  // namespace

Action add_memory_audit(CLI::App& app) {
  auto choice = std::make_shared<AuditChoice>();
  add_text(app, "DIR", choice->directory, "DIR", "An export with payloads");
  add_text(app, "--session", choice->session, "ID", "One session; all of the export's if left out")->group("Which");
  add_model(app, choice->model.model);
  add_context(app, choice->model.session);
  add_adapters(app, choice->model.load);
  add_threads(app, choice->model.load);
  add_executor(app, choice->model.session);
  add_json(app, choice->json);
  add_quiet(app, choice->quiet);
  app.footer(
      "  fieldprint memory export /tmp/export --payloads\n"
      "  fieldprint memory audit /tmp/export -m smollm2-135m --threads 1");
  return [choice] { return (*choice)(); };
}

}  // namespace fieldprint::cli
