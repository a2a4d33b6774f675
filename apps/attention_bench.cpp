// `fieldprint attention-bench`: the kinds of attention alone, beside each other, the naive form and the machine's
// limits.
#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>

#include "command.h"
#include "fieldprint/bench.h"
#include "fieldprint/error.h"
#include "options.h"
#include "output.h"
#include "signals.h"

namespace fieldprint::cli {

namespace {

struct AttentionBench {
  LoadOptions load;
  std::vector<std::string> kinds = {"dot", "gram", "anchored"};
  std::vector<int> keys = {4096}, head_dims = {128};
  std::string heads = "32/8", form = "both", format = "table", svg, kv_type = "f16";
  int anchors = 128, repeats = 5;
  bool naive = false, quiet = false;
  int operator()() const;
  std::vector<std::vector<AttentionTask>> groups() const;
};

// What is measured side by side: all kinds of one shape, dot first.
std::vector<std::vector<AttentionTask>> AttentionBench::groups() const {
  const size_t slash = std::min(heads.find('/'), heads.size());
  AttentionTask base;
  base.heads = static_cast<int>(parse_integer(std::string_view(heads).substr(0, slash), 1, 4096, "--heads"));
  base.kv_heads = slash == heads.size()
                      ? base.heads
                      : static_cast<int>(parse_integer(std::string_view(heads).substr(slash + 1), 1, 4096, "--heads"));
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
          bytes_text(s.row.extra_bytes)};
}

void print_row(const std::vector<std::string>& row) {
  std::string line = fmt::format("{:<18}", row[0]);
  for (size_t i = 1; i < row.size(); ++i) line += fmt::format("{:>12}", row[i]);
  write_out(line + "\n");
  flush_out();
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

int AttentionBench::operator()() const {
  const SignalGuard guard;
  const auto all = groups();
  for (const auto& group : all) {
    for (const AttentionTask& task : group) check_attention(task);
  }
  const Ceilings ceilings = measure_ceilings(load);
  const std::string machine =
      fmt::format("reads {:.1f} GB/s, int8 {:.0f} GOP/s, float32 {:.0f} GFLOP/s", ceilings.read_bandwidth / 1e9,
                  ceilings.int8_rate / 1e9, ceilings.f32_rate / 1e9);
  if (!quiet) note(machine);
  std::vector<std::vector<Shown>> done;
  if (format == "table") print_row({std::begin(kColumns), std::end(kColumns)});
  for (const auto& group : all) {
    ProgressBar bar(ProgressBar::Unit::kCount, quiet);
    done.push_back(shown(bench_attention(group, load, repeats, bar.callback()), ceilings));
    bar.wipe();
    if (format != "table") continue;
    write_out(done.back()[0].shape() + "\n");
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
    write_out(object.dump() + "\n");
  }
  if (!svg.empty()) {
    std::ofstream file(svg);
    file << svg_chart(done, "Attention alone: " + machine);
    if (!file.flush()) throw Error(ErrorKind::kIo, "cannot write the chart", svg);
  }
  return kDone;
}

// A value of the form "a,b,c": take() each.
template <class Take>
std::function<void(const std::string&)> each(Take&& take) {
  return [take](const std::string& value) {
    for (size_t begin = 0; begin <= value.size();) {
      const size_t end = std::min(value.find(',', begin), value.size());
      take(value.substr(begin, end - begin), begin == 0);
      begin = end + 1;
    }
  };
}

void add_numbers(CLI::App& app, const std::string& names, std::vector<int>& target, const std::string& about) {
  add_value(app, names, "N,...", about, each([&target, names](const std::string& text, bool first) {
              if (first) target.clear();
              target.push_back(static_cast<int>(parse_integer(text, 1, 1 << 20, names.substr(names.find("--")))));
            }))
      ->default_str(fmt::format("{}", fmt::join(target, ",")))
      ->group("Measure");
}

}  // namespace

Action add_attention_bench(CLI::App& app) {
  auto bench = std::make_shared<AttentionBench>();
  add_value(app, "-k,--kinds", "KIND,...",
            "Kinds of attention: dot, gram, anchored, expressive; the first is what the "
            "others are measured beside",
            each([&kinds = bench->kinds](const std::string& text, bool first) {
              if (first) kinds.clear();
              kinds.push_back(text);
            }))
      ->default_str(fmt::format("{}", fmt::join(bench->kinds, ",")))
      ->group("Measure");
  add_numbers(app, "-N,--keys", bench->keys, "Lengths of the context");
  add_text(app, "--heads", bench->heads, "H/K", "Heads of queries / of keys and values")->group("Measure");
  add_numbers(app, "--head-dim", bench->head_dims, "Sizes of a head");
  add_integer(app, "--anchors", bench->anchors, 1, "Anchor rows of kind anchored")->group("Measure");
  add_choice(app, "--form", bench->form, {"prefill", "decode", "both"},
             "A whole causal prompt, or one token that sees the context")
      ->group("Measure");
  add_choice(app, "--kv-type", bench->kv_type, {"f16", "bf16", "q8_0"}, "How keys and values are kept")
      ->group("Measure");
  add_flag(app, "--naive", bench->naive, "Beside it the form that materialises the scores, its products by OpenBLAS")
      ->group("Measure");
  add_integer(app, "-r,--repeats", bench->repeats, 1, "Measured rounds of all kinds in turn: medians are shown")
      ->group("Measure");
  add_choice(app, "--format", bench->format, {"table", "json"}, "How to print")->group("Output");
  add_text(app, "--svg", bench->svg, "FILE", "Draw a chart too")->group("Output");
  add_quiet(app, bench->quiet);
  add_threads(app, bench->load);
  app.footer(
      "  fieldprint attention-bench\n"
      "  fieldprint attention-bench -N 4096,8192 --naive --svg attention.svg\n"
      "  fieldprint attention-bench -k dot,gram -N 32768 --form decode --kv-type q8_0");
  return [bench] { return (*bench)(); };
}

}  // namespace fieldprint::cli
