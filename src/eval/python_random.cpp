#include "eval/python_random.h"

#include <fmt/format.h>

#include <array>
#include <bit>
#include <cmath>
#include <numeric>
#include <sstream>
#include <unordered_set>

#include "fieldprint/error.h"

namespace fieldprint {
namespace {

constexpr size_t kWords = 624;

// init_by_array() of the authors' reference code: the state that the 32-bit words of a key lead to.
std::mt19937 seeded(const std::vector<uint32_t>& key) {
  std::array<uint32_t, kWords> state{};
  state[0] = 19650218;
  const auto mixed = [&](size_t i) { return state[i - 1] ^ (state[i - 1] >> 30); };
  for (size_t i = 1; i < kWords; ++i) state[i] = 1812433253u * mixed(i) + static_cast<uint32_t>(i);
  size_t i = 1;
  const auto next = [&] {
    if (++i < kWords) return;
    state[0] = state[kWords - 1];
    i = 1;
  };
  for (size_t k = 0; k < std::max(kWords, key.size()); ++k) {
    const size_t j = k % key.size();
    state[i] = (state[i] ^ (mixed(i) * 1664525u)) + key[j] + static_cast<uint32_t>(j);
    next();
  }
  for (size_t k = 0; k < kWords - 1; ++k) {
    state[i] = (state[i] ^ (mixed(i) * 1566083941u)) - static_cast<uint32_t>(i);
    next();
  }
  state[0] = 0x80000000u;
  // The standard says how a state is written and read: its words, oldest first. libstdc++ has the place behind them.
  std::stringstream text;
  for (const uint32_t word : state) text << word << ' ';
  text << kWords;
  std::mt19937 twister;
  text >> twister;
  return twister;
}

}  // namespace

PythonRandom::PythonRandom(uint64_t seed) {
  std::vector<uint32_t> key = {static_cast<uint32_t>(seed)};
  if (seed >> 32 != 0) key.push_back(static_cast<uint32_t>(seed >> 32));
  twister_ = seeded(key);
}

uint64_t PythonRandom::bits(int count) {
  if (count <= 32) return twister_() >> (32 - count);
  const uint64_t low = twister_();  // the lower word is drawn first
  return low | (static_cast<uint64_t>(twister_()) >> (64 - count)) << 32;
}

uint64_t PythonRandom::below(uint64_t n) {
  const auto width = static_cast<int>(std::bit_width(n));
  for (;;) {
    const uint64_t drawn = bits(width);
    if (drawn < n) return drawn;
  }
}

std::vector<size_t> PythonRandom::sample(size_t population, size_t count) {
  if (count > population) {
    throw Error(ErrorKind::kUsage, fmt::format("{} examples of {} cannot be drawn", count, population), "--fewshot",
                "a smaller number, or a file with more rows");
  }
  // Either a list whose drawn elements are replaced by the last, or a set of places drawn: what takes less memory.
  double set_size = 21;
  if (count > 5) set_size += std::pow(4, std::ceil(std::log(static_cast<double>(count * 3)) / std::log(4.0)));
  std::vector<size_t> drawn(count);
  if (static_cast<double>(population) <= set_size) {
    std::vector<size_t> pool(population);
    std::iota(pool.begin(), pool.end(), size_t{0});
    for (size_t i = 0; i < count; ++i) {
      const size_t j = below(population - i);
      drawn[i] = pool[j];
      pool[j] = pool[population - i - 1];
    }
    return drawn;
  }
  std::unordered_set<size_t> taken;
  for (size_t& place : drawn) {
    do place = below(population);
    while (!taken.insert(place).second);
  }
  return drawn;
}

}  // namespace fieldprint
