// `fieldprint replay`: a saved exchange computed again, bit for bit.
#include "fieldprint/replay.h"

#include <fmt/format.h>

#include "command.h"
#include "fieldprint/error.h"
#include "files.h"
#include "options.h"
#include "output.h"
#include "signals.h"

namespace fieldprint::cli {

namespace {

struct Replay {
  std::string file, model;
  LoadOptions load;
  bool quiet = false;

  int operator()() const;
};

int Replay::operator()() const {
  if (file.empty()) throw Error(ErrorKind::kUsage, "no exchange is named", {}, "`fieldprint replay answer.json`");
  const SignalGuard guard;
  const std::string exchange = file == "-" ? read_input("the exchange is read from standard input") : read_file(file);
  const std::string name = model.empty() ? replay_model(exchange) : model;
  const auto loaded = load_model(model_path(name), load);
  ProgressBar bar(ProgressBar::Unit::kCount, quiet);
  const ReplayResult result = replay(loaded, exchange, bar.callback());
  bar.wipe();
  if (!result.same)
    throw Error(ErrorKind::kBadInput, "the answer is another one: " + result.difference, file == "-" ? "" : file);
  write_out(fmt::format("the same: {} tokens, logits {}\n", result.tokens, result.hash));
  flush_out();
  return kDone;
}

}  // namespace

Action add_replay(CLI::App& app) {
  auto replay = std::make_shared<Replay>();
  add_text(app, "FILE", replay->file, "FILE",
           "The reply of a server to a request with \"exchange\": true, or the exchange in it; - = standard input");
  add_text(app, "-m,--model", replay->model, "MODEL", "The model, where it has another name here");
  add_quiet(app, replay->quiet);
  add_adapters(app, replay->load);
  add_threads(app, replay->load);
  app.footer(
      "  curl localhost:8080/v1/completions -d @request.json > answer.json\n"
      "  fieldprint replay answer.json");
  return [replay] { return (*replay)(); };
}

}  // namespace fieldprint::cli
