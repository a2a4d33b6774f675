// Attention alone: its kinds beside each other, the form that keeps all scores, and the machine's limits; --kernels:
// the products and the softmax that it is made of.
//   attention_bench -N 4096,8192 --naive --svg attention.svg
//   attention_bench -k dot,gram -N 32768 --form decode --kv-type q8_0
//   attention_bench --kernels --benchmark_filter='avx2/scores'
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>

#include "attention/kernels.h"
#include "attention/problem.h"
#include "fieldprint/error.h"
#include "kernels/select.h"
#include "measure/ceilings.h"

namespace fieldprint {
namespace {

struct AttentionBench {
  std::string isa;
  int threads = 0;
  std::vector<std::string> kinds = {"dot", "gram", "anchored"};
  std::vector<int> keys = {4096}, head_dims = {128};
  std::string heads = "32/8", form = "both", format = "table", svg, kv_type = "f16";
  int anchors = 128, repeats = 5;
  bool naive = false, quiet = false;
  void run() const;
  std::vector<std::vector<AttentionTask>> groups() const;
};

// A whole number of at least 1 and at most 4096.
int head_count(const std::string& text) {
  int count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (error != std::errc() || end != text.data() + text.size() || count < 1 || count > 4096)
    throw Error(ErrorKind::kUsage, fmt::format("--heads is a number, or two as in 32/8, not '{}'", text));
  return count;
}

// What is measured side by side: all kinds of one shape, dot first.
std::vector<std::vector<AttentionTask>> AttentionBench::groups() const {
  const size_t slash = heads.find('/');
  AttentionTask base;
  base.heads = head_count(heads.substr(0, slash));
  base.kv_heads = slash == heads.npos ? base.heads : head_count(heads.substr(slash + 1));
  base.anchors = anchors;
  base.kv_type = kv_type;
  std::vector<std::vector<AttentionTask>> all;
  for (const bool decode : {false, true}) {
    if (form == (decode ? "prefill" : "decode")) continue;
    for (const int dim : head_dims) {
      for (const int n : keys) {
        auto& group = all.emplace_back();
        base.decode = decode;
        base.head_dim = dim;
        base.keys = n;
        for (const std::string& kind : kinds) {
          base.kind = kind;
          base.naive = false;
          group.push_back(base);
          base.naive = naive && (kind == "dot" || kind == "anchored");
          if (base.naive) group.push_back(base);
        }
      }
    }
  }
  return all;
}

struct Shown {
  AttentionRow row;
  double ratio = 0;  // of the time to that of the group's first, pair by pair: the median
  Ceilings ceilings;
  std::string name() const { return row.task.kind + (row.task.naive ? " naive" : ""); }
  std::string shape() const {
    return fmt::format("{} N={} H={}/{} d={}", row.task.decode ? "decode" : "prefill", row.task.keys, row.task.heads,
                       row.task.kv_heads, row.task.head_dim);
  }
  double bandwidth_share() const { return row.bytes / row.median / ceilings.read_bandwidth; }
  double operations() const { return row.int8_operations + row.float_operations; }
  double peak_share() const {
    return (row.int8_operations / ceilings.int8_rate + row.float_operations / ceilings.f32_rate) / row.median;
  }
};

std::vector<Shown> shown(const std::vector<AttentionRow>& rows, const Ceilings& ceilings) {
  std::vector<Shown> all;
  for (const AttentionRow& row : rows) {
    std::vector<double> ratios;
    for (size_t i = 0; i < row.seconds.size(); ++i) ratios.push_back(row.seconds[i] / rows[0].seconds[i]);
    std::sort(ratios.begin(), ratios.end());
    all.push_back({row, ratios[ratios.size() / 2], ceilings});
  }
  return all;
}

constexpr const char* kColumns[] = {"kind", "ms", "over first", "GB/s", "of the bus", "GOP/s", "of peak", "extra"};

std::vector<std::string> cells(const Shown& s) {
  return {s.name(),
          fmt::format("{:.3f}", s.row.median * 1e3),
          fmt::format("{:.3f}", s.ratio),
          fmt::format("{:.2f}", s.row.bytes / s.row.median / 1e9),
          fmt::format("{:.1f} %", s.bandwidth_share() * 100),
          fmt::format("{:.1f}", s.operations() / s.row.median / 1e9),
          fmt::format("{:.1f} %", s.peak_share() * 100),
          fmt::format("{:.2f} MiB", static_cast<double>(s.row.extra_bytes) / (1 << 20))};
}

void print_row(const std::vector<std::string>& row) {
  std::string line = fmt::format("{:<18}", row[0]);
  for (size_t i = 1; i < row.size(); ++i) line += fmt::format("{:>12}", row[i]);
  fmt::print("{}\n", line);
  std::fflush(stdout);
}

nlohmann::ordered_json to_json(const Shown& s) {
  return {{"kind", s.row.task.kind},
          {"naive", s.row.task.naive},
          {"form", s.row.task.decode ? "decode" : "prefill"},
          {"keys", s.row.task.keys},
          {"heads", s.row.task.heads},
          {"kv_heads", s.row.task.kv_heads},
          {"head_dim", s.row.task.head_dim},
          {"kv_type", s.row.task.kv_type},
          {"seconds", s.row.median},
          {"least", s.row.least},
          {"most", s.row.most},
          {"over_first", s.ratio},
          {"bytes", s.row.bytes},
          {"share_of_bandwidth", s.bandwidth_share()},
          {"int8_operations", s.row.int8_operations},
          {"float_operations", s.row.float_operations},
          {"share_of_peak", s.peak_share()},
          {"extra_bytes", s.row.extra_bytes}};
}

// A bar for each row, as long as its time is beside the longest of its group.
std::string svg_chart(const std::vector<std::vector<Shown>>& groups, const std::string& title) {
  constexpr int kBar = 18, kHead = 30, kLeft = 130, kWide = 420, kRight = 210;
  std::string body;
  int y = kHead + 16;
  for (const auto& group : groups) {
    body += fmt::format("<text x=\"10\" y=\"{}\" font-weight=\"bold\">{}</text>\n", y, group[0].shape());
    double longest = 0;
    for (const Shown& s : group) longest = std::max(longest, s.row.median);
    for (const Shown& s : group) {
      y += kBar + 4;
      body += fmt::format(
          "<text x=\"10\" y=\"{0}\">{1}</text><rect x=\"{2}\" y=\"{3}\" width=\"{4:.1f}\" height=\"{5}\" fill=\"{6}\"/>"
          "<text x=\"{7:.1f}\" y=\"{0}\">{8:.3f} ms, {9:.3f} of the first</text>\n",
          y, s.name(), kLeft, y - kBar + 5, s.row.median / longest * kWide, kBar - 2,
          s.row.task.naive ? "#c8553d" : "#2f6690", kLeft + s.row.median / longest * kWide + 6, s.row.median * 1e3,
          s.ratio);
    }
    y += kBar + 16;
  }
  return fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{}\" height=\"{}\" font-family=\"sans-serif\" "
      "font-size=\"13\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n<text x=\"10\" y=\"20\">{}</text>\n{}"
      "</svg>\n",
      kLeft + kWide + kRight, y, title, body);
}

void AttentionBench::run() const {
  const auto all = groups();
  for (const auto& group : all) {
    for (const AttentionTask& task : group) check_attention(task);
  }
  ThreadPool pool(threads > 0 ? threads : hardware_threads());
  const Ceilings ceilings = measure_ceilings(pool, select_kernels(isa));
  const std::string machine =
      fmt::format("reads {:.1f} GB/s, int8 {:.0f} GOP/s, float32 {:.0f} GFLOP/s", ceilings.read_bandwidth / 1e9,
                  ceilings.int8_rate / 1e9, ceilings.f32_rate / 1e9);
  if (!quiet) fmt::print(stderr, "{}\n", machine);
  std::vector<std::vector<Shown>> done;
  if (format == "table") print_row({std::begin(kColumns), std::end(kColumns)});
  for (const auto& group : all) {
    done.push_back(shown(measure_attention(group, isa, pool, repeats), ceilings));
    if (format != "table") continue;
    fmt::print("{}\n", done.back()[0].shape());
    for (const Shown& s : done.back()) print_row(cells(s));
  }
  if (format == "json") {
    nlohmann::ordered_json rows = nlohmann::ordered_json::array();
    for (const auto& group : done)
      for (const Shown& s : group) rows.push_back(to_json(s));
    const nlohmann::ordered_json object = {{"repeats", repeats},
                                           {"read_bandwidth", ceilings.read_bandwidth},
                                           {"int8_rate", ceilings.int8_rate},
                                           {"f32_rate", ceilings.f32_rate},
                                           {"rows", rows}};
    fmt::print("{}\n", object.dump());
  }
  if (!svg.empty()) {
    std::ofstream file(svg);
    file << svg_chart(done, "Attention alone: " + machine);
    if (!file.flush()) throw Error(ErrorKind::kIo, "cannot write the chart", svg);
  }
}

void add_flags(CLI::App& app, AttentionBench& bench) {
  app.add_option("-k,--kinds", bench.kinds,
                 "Kinds of attention: dot, gram, gram_key, anchored, expressive; the first is what the others are "
                 "measured beside");
  app.add_option("-N,--keys", bench.keys, "Lengths of the context");
  app.add_option("--heads", bench.heads, "Heads of queries / of keys and values");
  app.add_option("--head-dim", bench.head_dims, "Sizes of a head");
  for (const char* list : {"--kinds", "--keys", "--head-dim"})
    app.get_option(list)->delimiter(',')->take_all()->allow_extra_args(false)->type_name("X,...");
  app.add_option("--anchors", bench.anchors, "Anchor rows of kind anchored");
  app.add_option("--form", bench.form, "A whole causal prompt, or one token that sees the context")
      ->check(CLI::IsMember({"prefill", "decode", "both"}));
  app.add_option("--kv-type", bench.kv_type, "How keys and values are kept")
      ->check(CLI::IsMember({"f16", "bf16", "q8_0", "f32"}));
  app.add_flag("--naive", bench.naive, "Beside it the form that keeps all scores, its products by OpenBLAS");
  app.add_option("-r,--repeats", bench.repeats, "Measured rounds of all kinds in turn: medians are shown")
      ->check(CLI::PositiveNumber);
  app.add_option("--format", bench.format, "How to print")->check(CLI::IsMember({"table", "json"}));
  app.add_option("--svg", bench.svg, "Draw a chart too");
  app.add_flag("-q,--quiet", bench.quiet, "Do not tell the machine's limits");
  app.add_option("-t,--threads", bench.threads, "Threads; 0 = one a core")->check(CLI::Range(0, 1024));
  app.add_option("--isa", bench.isa, "Instruction set, if not the best")
      ->check(CLI::IsMember({"scalar", "avx2", "avx512"}));
}

}  // namespace
}  // namespace fieldprint

int main(int argc, char** argv) {
  if (argc > 1 && std::string_view(argv[1]) == "--kernels")
    return fieldprint::run_attention_kernels(argc - 1, argv + 1);
  CLI::App app(
      "Attention alone: its kinds beside each other, and the machine's limits. --kernels measures its kernels.");
  app.option_defaults()->always_capture_default()->take_last();
  fieldprint::AttentionBench bench;
  fieldprint::add_flags(app, bench);
  CLI11_PARSE(app, argc, argv);
  try {
    bench.run();
  } catch (const fieldprint::Error& error) {
    fmt::print(stderr, "attention_bench: {}\n", error.what());
    if (!error.hint().empty()) fmt::print(stderr, "hint: {}\n", error.hint());
    return 2;
  }
}
