#include "train/duplicates.h"

#include <algorithm>
#include <array>
#include <limits>
#include <unordered_map>

#include "base/rng.h"

namespace fieldprint {
namespace {

constexpr size_t kRun = 5, kMinima = 128, kBand = 4;

using Signature = std::array<uint32_t, kMinima>;

uint64_t mixed(uint64_t x) { return Rng(x).next(); }

// A run's hash by function f is the high half of a * run + b (Dietzfelbinger 1996): pairwise independent enough.
Signature signature_of(Document tokens, const std::vector<uint64_t>& factors) {
  Signature minima;
  minima.fill(std::numeric_limits<uint32_t>::max());
  const size_t length = std::min(kRun, tokens.size());
  for (size_t at = 0; at + length <= tokens.size() && length > 0; ++at) {
    uint64_t run = 0;
    for (size_t i = 0; i < length; ++i) run = (run ^ static_cast<uint32_t>(tokens[at + i])) * 0x9e3779b97f4a7c15u + 1;
    run ^= run >> 29;
    for (size_t f = 0; f < kMinima; ++f) {
      const auto value = static_cast<uint32_t>((factors[2 * f] * run + factors[2 * f + 1]) >> 32);
      minima[f] = std::min(minima[f], value);
    }
  }
  return minima;
}

std::vector<Signature> signatures_of(std::span<const Document> documents, ThreadPool& pool) {
  Rng rng(5);
  std::vector<uint64_t> factors(2 * kMinima);
  for (uint64_t& factor : factors) factor = rng.next() | 1;
  std::vector<Signature> all(documents.size());
  pool.run(static_cast<int64_t>(all.size()), [&](int64_t i, int) {
    all[static_cast<size_t>(i)] = signature_of(documents[static_cast<size_t>(i)], factors);
  });
  return all;
}

double alike(const Signature& a, const Signature& b) {
  size_t same = 0;
  for (size_t f = 0; f < kMinima; ++f) same += a[f] == b[f];
  return static_cast<double>(same) / static_cast<double>(kMinima);
}

uint64_t band_of(const Signature& signature, size_t band) {
  uint64_t hash = band;
  for (size_t i = 0; i < kBand; ++i) hash = mixed(hash ^ signature[band * kBand + i]);
  return hash;
}

std::vector<Document> documents_of(std::span<const Example> examples) {
  std::vector<Document> documents;
  documents.reserve(examples.size());
  for (const Example& example : examples) documents.emplace_back(example.tokens);
  return documents;
}

}  // namespace

std::vector<Alike> find_alike(std::span<const Document> documents, ThreadPool& pool, std::span<const Document> others,
                              std::span<const int64_t> groups, double share) {
  const bool among = others.empty();
  const auto signatures = signatures_of(documents, pool);
  const auto theirs = among ? std::vector<Signature>() : signatures_of(others, pool);
  const auto against = among ? documents : others;
  const auto& known = among ? signatures : theirs;
  // A band's value -> the first that has it. Whoever is near another one is near the first of its kind too, or nearly.
  std::unordered_map<uint64_t, int64_t> bands;
  const auto enter = [&](int64_t i) {
    for (size_t band = 0; band < kMinima / kBand; ++band)
      bands.try_emplace(band_of(known[static_cast<size_t>(i)], band), i);
  };
  for (int64_t i = 0; !among && i < static_cast<int64_t>(known.size()); ++i) enter(i);
  std::vector<Alike> found(documents.size());
  for (int64_t i = 0; i < static_cast<int64_t>(documents.size()); ++i) {
    const auto own = static_cast<size_t>(i);
    Alike& alike_of = found[own];
    for (size_t band = 0; band < kMinima / kBand && alike_of.exact < 0; ++band) {
      const auto it = bands.find(band_of(signatures[own], band));
      if (it == bands.end()) continue;
      const auto other = static_cast<size_t>(it->second);
      if (among && !groups.empty() && groups[other] == groups[own]) continue;
      if (std::ranges::equal(against[other], documents[own])) alike_of = {it->second, -1};
      else if (alike_of.near < 0 && alike(signatures[own], known[other]) >= share) alike_of.near = it->second;
    }
    if (among) enter(i);
  }
  return found;
}

Duplicates find_duplicates(std::span<const Example> examples, ThreadPool& pool, std::span<const Example> others,
                           std::span<const int64_t> lines, double share) {
  Duplicates found;
  const auto alike = find_alike(documents_of(examples), pool, documents_of(others), lines, share);
  for (int64_t i = 0; i < static_cast<int64_t>(alike.size()); ++i) {
    const auto [exact, near] = alike[static_cast<size_t>(i)];
    if (exact >= 0) {
      if (found.exact++ == 0) found.first_exact = {exact, i};
    } else if (near >= 0) {
      if (found.near++ == 0) found.first_near = {near, i};
    }
  }
  return found;
}

}  // namespace fieldprint
