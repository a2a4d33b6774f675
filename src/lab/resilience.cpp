// What a key that points nowhere does to each kind of score: the published table, and what is left of it among many
// random keys.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <numbers>

#include "attention/kind.h"
#include "base/math.h"
#include "base/rng.h"
#include "fieldprint/atomic_file.h"
#include "fieldprint/chart.h"
#include "fieldprint/error.h"
#include "fieldprint/lab.h"
#include "lab/page.h"
#include "lab/spread.h"

namespace fieldprint {
namespace {

using Vector = std::vector<double>;

double score(const AttentionKind& kind, const Vector& q, const Vector& r, const Vector& k) {
  return kind.formula_f64(q.data(), r.data(), k.data(), static_cast<int>(q.size()));
}

double dot(const Vector& a, const Vector& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

Vector random_vector(Rng& random, int d) {
  Vector v(static_cast<size_t>(d));
  for (double& x : v) x = static_cast<double>(random.normal());
  return v;
}

// Normed as heads are: a root mean square of 1.
Vector normed(Vector v) {
  const double factor = std::sqrt(static_cast<double>(v.size()) / dot(v, v));
  for (double& x : v) x *= factor;
  return v;
}

// At an angle of `cosine` to what the kind looks for: for dot the query, for gram the plane of q and r.
Vector relevant_key(Rng& random, bool plane, const Vector& q, const Vector& r, double cosine) {
  Vector target = q;
  if (plane) {
    for (size_t i = 0; i < q.size(); ++i) target[i] += r[i];
  }
  target = normed(std::move(target));
  Vector rest = random_vector(random, static_cast<int>(q.size()));
  const auto take_out = [&rest](const Vector& of) {
    const double share = dot(rest, of) / dot(of, of);
    for (size_t i = 0; i < rest.size(); ++i) rest[i] -= share * of[i];
  };
  take_out(q);
  if (plane) {
    Vector second = r;
    const double share = dot(r, q) / dot(q, q);
    for (size_t i = 0; i < r.size(); ++i) second[i] -= share * q[i];
    take_out(second);
  }
  rest = normed(std::move(rest));
  for (size_t i = 0; i < q.size(); ++i) target[i] = cosine * target[i] + std::sqrt(1 - cosine * cosine) * rest[i];
  return target;
}

// sum over j of e^s_j, its logarithm.
double log_sum_exp(std::span<const double> scores) {
  const double most = *std::max_element(scores.begin(), scores.end());
  double sum = 0;
  for (const double s : scores) sum += exp_f64(s - most);
  return most + log_f64(sum);
}

// The share of the softmax that goes to scores [keys] beside that of the relevant one.
double leak(std::span<const double> scores, double relevant, double scale) {
  Vector scaled(scores.begin(), scores.end());
  for (double& s : scaled) s *= scale;
  const double lead = relevant * scale - log_sum_exp(scaled);
  return lead > 700 ? 0 : 1 / (1 + exp_f64(lead));
}

double deviation(std::span<const double> values) {
  double sum = 0, squares = 0;
  for (const double v : values) sum += v;
  const double mean = sum / static_cast<double>(values.size());
  for (const double v : values) squares += (v - mean) * (v - mean);
  return std::sqrt(squares / static_cast<double>(values.size()));
}

// One draw: leaks of the first keys[i] random keys for each match and scale, in the order of the rows.
struct LeakDraw {
  const AttentionKind& kind;
  const LeakOptions& options;
  int d;

  template <class Put>
  void operator()(Rng& random, Put&& put) const {
    const Vector q = normed(random_vector(random, d)), r = normed(random_vector(random, d));
    const auto most = static_cast<size_t>(*std::max_element(options.keys.begin(), options.keys.end()));
    size_t row = 0;
    for (const bool same_length : {true, false}) {
      Vector scores(most);
      for (double& s : scores) {
        const Vector k = random_vector(random, d);
        s = score(kind, q, r, same_length ? normed(k) : k);
      }
      const double spread = deviation(scores);
      for (const bool equal : {false, true}) {
        const double scale = equal ? 1 / spread : kind.scale(d);
        for (const double match : options.matches) {
          const double relevant = score(kind, q, r, relevant_key(random, kind.third_projection, q, r, match));
          for (const int keys : options.keys)
            put(row++, leak(std::span(scores).first(static_cast<size_t>(keys)), relevant, scale));
        }
      }
    }
  }
};

std::string share_text(double share) {
  if (share >= 0.0001) return fmt::format("{:.2f} %", 100 * share);
  return share < 1e-30 ? "below 1e-28 %" : fmt::format("{:.0e} %", 100 * share);
}

const LeakRow* find(std::span<const LeakRow> rows, const LeakRow& like) {
  for (const LeakRow& row : rows) {
    if (row.kind == like.kind && row.head_dim == like.head_dim && row.equal_spread == like.equal_spread &&
        row.same_length == like.same_length && row.match == like.match && row.keys == like.keys) {
      return &row;
    }
  }
  return nullptr;
}

template <class T, class Get>
std::vector<T> distinct(std::span<const LeakRow> rows, Get&& get) {
  std::vector<T> values;
  for (const LeakRow& row : rows) {
    if (std::find(values.begin(), values.end(), get(row)) == values.end()) values.push_back(get(row));
  }
  return values;
}

// The lines of one head size: both kinds at both scales, for each match.
std::vector<std::vector<LeakRow>> lines_of(std::span<const LeakRow> rows, int d) {
  std::vector<std::vector<LeakRow>> lines;
  for (const LeakRow& row : rows) {
    if (row.head_dim != d) continue;
    const auto same = [&](const std::vector<LeakRow>& line) {
      return line[0].kind == row.kind && line[0].equal_spread == row.equal_spread &&
             line[0].same_length == row.same_length && line[0].match == row.match;
    };
    auto line = std::find_if(lines.begin(), lines.end(), same);
    if (line == lines.end()) line = lines.insert(line, std::vector<LeakRow>());
    line->push_back(row);
  }
  return lines;
}

std::string line_name(const LeakRow& row) {
  return fmt::format("{}, match {:g}, {}", row.kind, row.match, row.same_length ? "one length" : "any length");
}

std::string leak_chart(std::span<const LeakRow> rows, int d) {
  Chart chart{fmt::format("Attention that random keys get beside one relevant key: heads of {}, equal spread", d),
              {"random keys", ChartScale::kLogarithmic},
              {.title = "share of the softmax", .low = 0, .high = 1},
              {}};
  for (const auto& line : lines_of(rows, d)) {
    if (!line[0].equal_spread) continue;
    ChartLine drawn{line_name(line[0]), {}, {}, {}, {}, !line[0].same_length};
    for (const LeakRow& row : line) {
      drawn.x.push_back(row.keys);
      drawn.middle.push_back(row.median);
      drawn.low.push_back(row.least);
      drawn.high.push_back(row.most);
    }
    chart.lines.push_back(std::move(drawn));
  }
  return line_chart(chart);
}

// Sentences that the figures make.
std::vector<std::string> findings(std::span<const LeakRow> rows) {
  std::vector<std::string> points;
  int grows = 0, lines = 0;
  for (const int d : distinct<int>(rows, [](const LeakRow& row) { return row.head_dim; })) {
    for (const auto& line : lines_of(rows, d)) {
      ++lines;
      grows += line.back().median > line.front().median ? 1 : 0;
    }
  }
  points.push_back(
      fmt::format("With more random keys more attention leaks to them: in {} of {} lines the median at the "
                  "most keys is above that at the fewest, for both kinds.",
                  grows, lines));
  for (const bool equal : {false, true}) {
    for (const bool same_length : {true, false}) {
      int less = 0, more = 0, places = 0;
      for (const LeakRow& row : rows) {
        if (row.kind != "gram" || row.equal_spread != equal || row.same_length != same_length) continue;
        LeakRow like = row;
        like.kind = "dot";
        const LeakRow* other = find(rows, like);
        if (other == nullptr) continue;
        ++places;
        less += row.median < other->median ? 1 : 0;
        more += row.median > other->median ? 1 : 0;
      }
      points.push_back(fmt::format("{}, keys of {}: gram leaks less than dot in {} of {} places, more in {}.",
                                   equal ? "At equal spread" : "At the published scales",
                                   same_length ? "one length" : "any length", less, places, more));
    }
  }
  return points;
}

}  // namespace

std::vector<ResilienceRow> resilience_table() {
  const AttentionKind& dot_product = dot_kind();
  const AttentionKind& gram = *find_attention_kind("gram");
  const Vector q = {1, 0, 0, 0}, r = {0, 1, 0, 0};
  std::vector<ResilienceRow> rows;
  double first = 0;
  for (const int m : {1, 5, 10, 50, 100}) {
    const Vector k = {0.1, 0, static_cast<double>(m), 0};
    ResilienceRow row{fmt::format("{}", m), score(dot_product, q, r, k), score(gram, q, r, k), ""};
    if (rows.empty()) first = row.dot;
    row.result = row.dot == first && row.gram <= -1 ? "only Gram notices" : "both notice";
    rows.push_back(row);
  }
  const double half = std::numbers::sqrt2 / 2;
  rows.push_back({"in plane", score(dot_product, q, r, {half, half, 0, 0}), score(gram, q, r, {half, half, 0, 0}), ""});
  rows.back().result = std::fabs(rows.back().gram) < 1e-9 ? "both accept" : "only dot accepts";
  return rows;
}

std::vector<LeakRow> measure_leak(const LeakOptions& options, const Progress& progress) {
  if (options.keys.empty() || options.trials < 1) throw Error(ErrorKind::kUsage, "a measurement takes keys and trials");
  std::vector<LeakRow> rows;
  uint64_t done = 0;
  const uint64_t total = 2 * options.head_dims.size() * static_cast<uint64_t>(options.trials);
  for (const int d : options.head_dims) {
    for (const std::string_view name : {"dot", "gram"}) {
      const LeakDraw draw{*find_attention_kind(name), options, d};
      std::vector<Vector> leaks(4 * options.matches.size() * options.keys.size());
      for (int trial = 0; trial < options.trials; ++trial) {
        Rng random(options.seed * 0x9e3779b97f4a7c15u + static_cast<uint64_t>(trial));
        draw(random, [&](size_t row, double share) { leaks[row].push_back(share); });
        if (progress && !progress("draws", ++done, total)) throw Error(ErrorKind::kLimit, "stopped");
      }
      size_t row = 0;
      for (const bool same_length : {true, false}) {
        for (const bool equal : {false, true}) {
          for (const double match : options.matches) {
            for (const int keys : options.keys) {
              const Spread s = spread_of(std::move(leaks[row++]));
              rows.push_back({name, d, same_length, equal, match, keys, s.least, s.median, s.most});
            }
          }
        }
      }
    }
  }
  return rows;
}

std::string resilience_report(std::span<const LeakRow> leaks, const std::string& out) {
  if (!out.empty()) {
    std::error_code failed;
    std::filesystem::create_directories(out, failed);
    if (failed) throw Error(ErrorKind::kIo, "cannot be made: " + failed.message(), out);
  }
  Page page("What a key that points nowhere does");
  page.text(
      "One query q = e1, one r = e2, d = 4, scale 1. A key m e3 + 0.1 q has nothing of r and little of q, whatever its "
      "length; a key (q + r) / sqrt 2 lies in their plane. Dot is q.k, Gram -det G(q, k, r).");
  std::vector<std::vector<std::string>> rows;
  for (const ResilienceRow& row : resilience_table())
    rows.push_back({row.magnitude, fmt::format("{:.4f}", row.dot), fmt::format("{:.4f}", row.gram), row.result});
  page.table({"Mag", "Dot(Q,K)", "Gram(Q,K,R)", "Result"}, std::move(rows));
  page.text(
      "The table shows that the determinant falls with the square of what of a key is outside the plane, and that a "
      "dot "
      "product does not see it. It does not show that a model attends better: the other key, 0.7071 against 0.1000, "
      "has "
      "a higher dot product too, and what a softmax makes of scores depends on how many keys there are.");

  page.heading("Among many keys");
  page.text(
      "One relevant key among n random ones in d dimensions. Query, r and the relevant key have a root mean square of "
      "1, "
      "as normed heads have; random keys have it too (one length), or are normal in each place (any length). The "
      "relevant key has a cosine (match) with what the kind looks for: the query for dot, the plane of q and r for "
      "gram. The share of the softmax that goes to the random keys is lost. Scores are taken at the published scales "
      "(d^-0.5 and d^-1.5), and at equal spread: scaled so that those of random keys have a deviation of 1, because a "
      "larger scale alone makes any softmax sharper, and training can choose it freely.");
  const auto keys = distinct<int>(leaks, [](const LeakRow& row) { return row.keys; });
  std::vector<std::string> columns = {"kind"};
  for (const int n : keys) columns.push_back(fmt::format("n = {}", n));
  for (const int d : distinct<int>(leaks, [](const LeakRow& row) { return row.head_dim; })) {
    for (const bool equal : {false, true}) {
      page.text(fmt::format("Heads of {}, {}, median share:", d, equal ? "equal spread" : "published scales"));
      std::vector<std::vector<std::string>> table;
      for (const auto& line : lines_of(leaks, d)) {
        if (line[0].equal_spread != equal) continue;
        table.push_back({line_name(line[0])});
        for (const LeakRow& row : line) table.back().push_back(share_text(row.median));
      }
      page.table(columns, std::move(table));
    }
    const std::string name = fmt::format("leak-d{}.svg", d), picture = leak_chart(leaks, d);
    if (out.empty()) continue;
    AtomicFile file((std::filesystem::path(out) / name).string());
    file.write(picture);
    file.commit();
    page.picture(name, fmt::format("share of attention that leaks, heads of {}", d), picture);
  }
  page.text("What it shows:");
  page.list(findings(leaks));
  page.text(
      "Why lengths decide: with keys of one length only a key's angle to the plane moves its determinant, and hardly "
      "does in many dimensions, so that the key in the plane stands far apart from all others. With keys of any length "
      "the determinant moves with the square of their length, and short keys that point nowhere come near to it; a dot "
      "product moves with the angle to the query either way.");
  page.text(
      "What it does not show: keys of a trained model are not random, and a trained model chooses its lengths and "
      "scales, so no line is what a model would do; and sharp scores that leak little are also scores with small "
      "gradients, "
      "which is about learning, not about leaking. `fieldprint lab compare` measures that.");
  if (!out.empty()) {
    for (const auto& [name, text] : {std::pair{"resilience.md", page.markdown()}, {"resilience.html", page.html()}}) {
      AtomicFile file((std::filesystem::path(out) / name).string());
      file.write(text);
      file.commit();
    }
  }
  return page.markdown();
}

}  // namespace fieldprint
