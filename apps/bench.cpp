// `fieldprint bench`: how fast a model runs, and what share that is of what the machine could do.
#include "fieldprint/bench.h"

#include <fmt/format.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "command.h"
#include "fieldprint/embed.h"
#include "fieldprint/error.h"
#include "fieldprint/synth.h"
#include "options.h"
#include "output.h"
#include "profile.h"
#include "settings.h"
#include "signals.h"
#include "startup.h"

namespace fieldprint::cli {

namespace {

struct Bench {
  ModelOptions model;
  std::string synth, format = "table";
  std::vector<int> prefill = {512}, decode = {64}, depths = {0}, streams = {1};
  ProfileOptions profile;
  int repeats = 5;
  bool startup = false, quiet = false;
  int operator()() const;
  std::string path() const;
  std::vector<BenchTask> tasks() const;
};

// The file of --synth, written once and kept.
std::string Bench::path() const {
  if (synth.empty()) return model_path(model.model);
  const std::string cache = user_folder("XDG_CACHE_HOME", ".cache");
  if (cache.empty()) throw Error(ErrorKind::kUsage, "there is no cache folder: neither XDG_CACHE_HOME nor HOME is set");
  SynthOptions options;
  const size_t colon = synth.find(':');
  options.preset = synth.substr(0, colon);
  if (colon != std::string::npos) options.mix = synth.substr(colon + 1);
  (void)plan_synth(options);  // the name is right: it may become a file's
  std::string mix = options.mix;
  for (char& c : mix) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  const std::string file = fmt::format("{}/synth/{}-{}.gguf", cache, options.preset, mix);
  if (std::filesystem::exists(file)) return file;
  std::filesystem::create_directories(cache + "/synth");
  ProgressBar bar(ProgressBar::Unit::kBytes, quiet);
  (void)fieldprint::synth(file, options, bar.callback());
  return file;
}

// Tests of one stream are prefill and decode apart; of several, a prompt and an answer each, as servers have them.
std::vector<BenchTask> Bench::tasks() const {
  using Kind = BenchTask::Kind;
  std::vector<BenchTask> tasks;
  for (const int count : streams) {
    if (count < 1) throw Error(ErrorKind::kUsage, "--streams needs at least one stream");
    for (const int depth : depths) {
      for (const int tokens : prefill) {
        if (tokens > 0 && count == 1) tasks.push_back({Kind::kPrefill, tokens, depth});
        for (const int answer : decode) {
          if (tokens > 0 && answer > 0 && count > 1) tasks.push_back({Kind::kStreams, tokens, depth, count, answer});
        }
      }
      for (const int tokens : decode) {
        if (tokens > 0 && count == 1) tasks.push_back({Kind::kDecode, tokens, depth});
      }
    }
  }
  return tasks;
}

struct Shown {
  BenchRow row;
  Ceilings ceilings;
  const char* kind() const {
    using Kind = BenchTask::Kind;
    return row.task.kind == Kind::kPrefill ? "prefill" : row.task.kind == Kind::kDecode ? "decode" : "streams";
  }
  bool streams() const { return row.task.kind == BenchTask::Kind::kStreams; }
  std::string name() const {
    const BenchTask& t = row.task;
    std::string text = streams() ? fmt::format("{} streams {}+{}", t.streams, t.tokens, t.answer)
                                 : fmt::format("{} {}", kind(), t.tokens);
    if (t.depth > 0) text += fmt::format(" at {}", t.depth);
    return text;
  }
  double spread() const { return row.median > 0 ? (row.most - row.least) / row.median : 0; }
  double bandwidth_share() const { return row.bytes_per_second / ceilings.read_bandwidth; }
  double int8_share() const { return row.int8_operations_per_second / ceilings.int8_rate; }
  double f32_share() const { return row.float_operations_per_second / ceilings.f32_rate; }
};

constexpr const char* kColumns[] = {"test", "tokens/s", "spread", "decode t/s", "GB/s", "of bus", "of int8", "of f32"};

std::vector<std::string> cells(const Shown& s) {
  const auto share = [](double x) { return fmt::format("{:.1f} %", x * 100); };
  return {s.name(),
          fmt::format("{:.2f}", s.row.median),
          share(s.spread()),
          s.streams() ? fmt::format("{:.2f}", s.row.decode_rate) : "",
          fmt::format("{:.2f}", s.row.bytes_per_second / 1e9),
          share(s.bandwidth_share()),
          share(s.int8_share()),
          share(s.f32_share())};
}

void print_row(const std::vector<std::string>& row, const std::string& format) {
  std::string line;
  if (format == "markdown") {
    line = fmt::format("| {} |", fmt::join(row, " | "));
  } else if (format == "csv") {
    line = fmt::format("{}", fmt::join(row, ","));
  } else {
    line = fmt::format("{:<26}", row[0]);
    for (size_t i = 1; i < row.size(); ++i) line += fmt::format("{:>11}", row[i]);
  }
  write_out(line + "\n");
  flush_out();
}

nlohmann::ordered_json to_json(const Shown& s) {
  nlohmann::ordered_json object = {{"test", s.kind()},
                                   {"tokens", s.row.task.tokens},
                                   {"depth", s.row.task.depth},
                                   {"tokens_per_second", s.row.median},
                                   {"least", s.row.least},
                                   {"most", s.row.most},
                                   {"bytes_per_second", s.row.bytes_per_second},
                                   {"share_of_bandwidth", s.bandwidth_share()},
                                   {"int8_operations_per_second", s.row.int8_operations_per_second},
                                   {"share_of_int8", s.int8_share()},
                                   {"float_operations_per_second", s.row.float_operations_per_second},
                                   {"share_of_float", s.f32_share()}};
  if (s.streams()) {
    object["streams"] = s.row.task.streams;
    object["answer"] = s.row.task.answer;
    object["decode_tokens_per_second"] = s.row.decode_rate;
  }
  return object;
}

int Bench::operator()() const {
  if (!synth.empty() && !model.model.empty()) throw Error(ErrorKind::kUsage, "--model and --synth exclude each other");
  const SignalGuard guard;
  const std::vector<BenchTask> planned = tasks();
  const std::string file = path();
  const auto loaded = load_model(file, model.load);
  if (is_encoder(*loaded)) {
    throw Error(ErrorKind::kUnsupported, "the model makes vectors of texts, and bench measures models that write text",
                loaded->info().path);
  }
  SessionOptions session = model.session;
  session.profile = profile.create();
  const Ceilings ceilings = measure_ceilings(*loaded);
  if (!quiet) {
    note(fmt::format("{}, {} threads, {}: reads {:.1f} GB/s, int8 {:.0f} GOP/s, float32 {:.0f} GFLOP/s",
                     std::filesystem::path(loaded->info().path).stem().string(), loaded->threads(), loaded->isa(),
                     ceilings.read_bandwidth / 1e9, ceilings.int8_rate / 1e9, ceilings.f32_rate / 1e9));
  }
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  bool over_bus = false;
  if (format != "json") print_row({std::begin(kColumns), std::end(kColumns)}, format);
  if (format == "markdown") print_row(std::vector<std::string>(std::size(kColumns), "---"), format);
  for (const auto& task : planned) {
    ProgressBar bar(ProgressBar::Unit::kCount, quiet);
    Shown shown{bench(loaded, task, session, repeats, bar.callback()), ceilings};
    bar.wipe();
    over_bus = over_bus || shown.bandwidth_share() > 1;
    if (format == "json") rows.push_back(to_json(shown));
    else print_row(cells(shown), format);
    if (profile.table) show_profile(*session.profile, ceilings, shown.name());
  }
  if (!profile.trace.empty()) write_trace(*session.profile, profile.trace);
  std::vector<double> first_token;
  if (startup) {
    std::vector<std::string> flags = {"-t", std::to_string(loaded->threads()), "--isa", std::string(loaded->isa())};
    first_token = measure_startup(file, flags, repeats);
    const double median = first_token[first_token.size() / 2];
    if (format != "json") {
      std::vector<std::string> row(std::size(kColumns));
      row[0] = fmt::format("first token {:.0f} ms", median * 1e3);
      row[2] = fmt::format("{:.1f} %", (first_token.back() - first_token.front()) / median * 100);
      print_row(row, format);
    }
  }
  if (over_bus && !quiet && format != "json") {
    note(
        "more than 100 % of the bus: the bus is measured by reading more than fits into the caches, and weights that "
        "stay in a cache from one token to the next are read from there");
  }
  if (format == "json") {
    nlohmann::ordered_json object = {{"model", loaded->info().path},
                                     {"threads", loaded->threads()},
                                     {"isa", loaded->isa()},
                                     {"repeats", repeats},
                                     {"read_bandwidth", ceilings.read_bandwidth},
                                     {"int8_rate", ceilings.int8_rate},
                                     {"f32_rate", ceilings.f32_rate},
                                     {"rows", rows}};
    if (startup) object["first_token_seconds"] = first_token;
    write_json(object);
  }
  return kDone;
}

void add_counts(CLI::App& app, const std::string& names, std::vector<int>& target, const std::string& about) {
  add_value(app, names, "N,...", about,
            [&target, names](const std::string& value) {
              target.clear();
              for (size_t begin = 0; begin <= value.size();) {
                const size_t end = std::min(value.find(',', begin), value.size());
                target.push_back(static_cast<int>(parse_integer(std::string_view(value).substr(begin, end - begin), 0,
                                                                1 << 30, names.substr(names.find("--")))));
                begin = end + 1;
              }
            })
      ->default_str(fmt::format("{}", fmt::join(target, ",")))
      ->group("Measure");
}

}  // namespace

Action add_bench(CLI::App& app) {
  auto bench = std::make_shared<Bench>();
  add_model(app, bench->model.model);
  add_text(app, "--synth", bench->synth, "PRESET:TYPE",
           "A model of random weights (see `fieldprint synth --list`), kept in the cache folder")
      ->group("Model");
  add_experts(app, bench->model.load);
  add_adapters(app, bench->model.load);
  add_counts(app, "-p,--prefill", bench->prefill, "Length of the prompt, in tokens; 0 = leave this test out");
  add_counts(app, "-n,--decode", bench->decode, "Length of the answer, in tokens; 0 = leave this test out");
  add_counts(app, "-d,--depth", bench->depths, "Tokens in the context before the test");
  add_counts(app, "-b,--streams", bench->streams,
             "Sequences at once; more than 1: a prompt of -p and an answer of -n tokens each");
  add_flag(app, "--startup", bench->startup, "Measure the time from the start of a process to its first token too")
      ->group("Measure");
  add_integer(app, "-r,--repeats", bench->repeats, 1, "Runs of each test, of which the median is shown")
      ->group("Measure");
  add_choice(app, "--format", bench->format, {"table", "json", "csv", "markdown"}, "How to print")->group("Output");
  add_profile(app, bench->profile);
  add_quiet(app, bench->quiet);
  add_threads(app, bench->model.load);
  add_executor(app, bench->model.session);
  app.footer(
      "  fieldprint bench\n"
      "  fieldprint bench --synth lfm2-8b-a1b:q6_k -p 32,512 -n 64\n"
      "  fieldprint bench --synth attn-lfm2:q8_0 -d 0,8192 --format markdown\n"
      "  fieldprint bench --synth lfm2-8b-a1b:q6_k -b 16 -p 32 -n 48 --startup\n"
      "What the columns mean: docs/performance.md");
  return [bench] { return (*bench)(); };
}

}  // namespace fieldprint::cli
