// The audit: a session's commits computed again. Each boundary's tokens are read by the model under the labels that
// they had, and what comes out is compared with what the ledger has.
#include <map>
#include <set>

#include "fieldprint/error.h"
#include "fieldprint/memory_commits.h"
#include "fieldprint/scheduler.h"
#include "memory/commit_digests.h"
#include "memory/recorded.h"

namespace fieldprint {

using namespace memory;

std::vector<std::string> audit_sessions(const std::string& directory) {
  std::set<std::string> sessions;
  for (const RecordedCommit& one : recorded_commits(directory, nullptr))
    sessions.insert(one.event.at(Field::kSession).text());
  return {sessions.begin(), sessions.end()};
}

Audit audit_memory(const std::string& directory, const std::string& session, std::shared_ptr<const Model> model,
                   const AuditOptions& options, const Progress& progress) {
  const std::vector<RecordedCommit> all = recorded_commits(directory, &session);
  if (all.empty()) throw Error(ErrorKind::kNotFound, "the export has no commits of the session " + session, directory);
  SchedulerOptions scheduling;
  scheduling.session.executor = options.executor;
  scheduling.session.kv_type = options.kv_type;
  scheduling.streams = 1;
  scheduling.boundaries = std::make_shared<BoundaryRing>();
  Scheduler scheduler(model, scheduling);

  Audit audit;
  audit.same = true;
  std::map<std::pair<uint64_t, int>, Course> courses;
  const auto parts = [&](const RecordedCommit& one, const std::string& what, int position) {
    audit.same = false;
    audit.difference =
        "event " + std::to_string(one.index) + ": " + what + " from position " + std::to_string(position) + " on";
  };
  for (const RecordedCommit& one : all) {
    if (one.event.id(Field::kModel) != model_digest(*model)) {
      throw Error(ErrorKind::kBadInput, "the session was run with another model", model->info().path);
    }
    Course& course = courses[{one.boundary.stream, one.boundary.answer}];
    course.follow(one.boundary);
    ++audit.commits;
    if (one.event.id(Field::kTokenIds) != token_digest(one.boundary.tokens)) {
      parts(one, "the tokens are not those that were committed", one.boundary.begin);
      return audit;
    }
    if (one.event.id(Field::kPages) != course.link) {
      parts(one, "the pages are not those that were committed", one.boundary.begin);
      return audit;
    }
    if (one.boundary.hidden.empty() || course.tokens.empty()) continue;  // nothing was computed for it
    Request request;
    request.spans = course.spans();
    request.sampling.max_tokens = 0;
    request.boundaries = true;
    request.session = session;
    scheduler.submit(std::move(request)).wait();
    Boundary computed;
    if (!scheduling.boundaries->take(computed)) break;
    audit.tokens += static_cast<int64_t>(course.tokens.size());
    if (hidden_digest(computed.hidden) != one.event.id(Field::kHidden)) {
      parts(one, "the state computed again is another", one.boundary.begin);
      return audit;
    }
    if (progress && !progress("audit", static_cast<uint64_t>(audit.commits), all.size())) {
      throw Error(ErrorKind::kLimit, "stopped");
    }
  }
  return audit;
}

}  // namespace fieldprint
