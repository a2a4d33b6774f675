#include "profile.h"

#include <fmt/format.h>

#include "fieldprint/atomic_file.h"
#include "options.h"
#include "output.h"

namespace fieldprint::cli {

namespace {

// Of a row's operations, the share of the peak of their kind.
double peak_share(const ProfileRow& row, const Ceilings& c) {
  return static_cast<double>(row.int8_operations) / c.int8_rate +
         static_cast<double>(row.float_operations) / c.f32_rate;
}

void show(const std::vector<ProfileRow>& rows, const Ceilings& ceilings, const char* first, bool layers) {
  std::string phase;
  double total = 0;
  for (const ProfileRow& row : rows) {
    if (row.phase != phase) {
      phase = row.phase;
      total = 0;
      for (const ProfileRow& other : rows) total += other.phase == phase ? other.seconds : 0;
      write_err(fmt::format("{:<28}{:>9}{:>11}{:>8}{:>9}{:>9}{:>10}{:>9}\n", phase + ", " + first, "calls", "ms",
                            "time", "GB/s", "bus", "GOP/s", "peak"));
    }
    if (row.seconds <= 0) continue;
    const std::string name = !layers ? row.op : row.layer < 0 ? "(none)" : std::to_string(row.layer);
    const double bytes = static_cast<double>(row.bytes) / row.seconds;
    const auto operations = static_cast<double>(row.int8_operations + row.float_operations);
    std::string line =
        fmt::format("{:<28}{:>9}{:>11.3f}{:>7.1f}%", name, row.calls, row.seconds * 1e3, row.seconds / total * 100);
    if (row.bytes > 0 || operations > 0) {
      line += fmt::format("{:>9.2f}{:>8.1f}%{:>10.1f}{:>8.1f}%", bytes / 1e9, bytes / ceilings.read_bandwidth * 100,
                          operations / row.seconds / 1e9, peak_share(row, ceilings) / row.seconds * 100);
    }
    write_err(line + "\n");
  }
}

}  // namespace

std::shared_ptr<Profile> ProfileOptions::create() const {
  return table || !trace.empty() ? Profile::create() : nullptr;
}

void add_profile(CLI::App& app, ProfileOptions& options) {
  add_flag(app, "--profile", options.table,
           "On stderr, time per op and per layer, with bytes, operations and the share of the machine's limits")
      ->group("Output");
  add_text(app, "--profile-trace", options.trace, "FILE", "Write every op of every step as a Chrome trace (JSON)")
      ->group("Output");
}

void show_profile(const Profile& profile, const Ceilings& ceilings, const std::string& title) {
  write_err(fmt::format("{}: reads {:.1f} GB/s, int8 {:.0f} GOP/s, float32 {:.0f} GFLOP/s at most\n", title,
                        ceilings.read_bandwidth / 1e9, ceilings.int8_rate / 1e9, ceilings.f32_rate / 1e9));
  show(profile.by_op(), ceilings, "op", false);
  show(profile.by_layer(), ceilings, "layer", true);
}

void write_trace(const Profile& profile, const std::string& file) {
  AtomicFile out(file);
  out.write(profile.trace());
  out.commit();
}

}  // namespace fieldprint::cli
