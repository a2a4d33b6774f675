// Damages a sound export in memory, again and again, and checks it with fieldprint-verify's own code, in one process:
//
//   verify-damage DIR flips EVERY       one bit of one file at a time, each EVERYth: every one must be found
//   verify-damage DIR mutants COUNT     events and records cut, joined and overwritten, in a tree that fits them again,
//   as a
//                                       writer without keys could do: must be refused, without a crash
//
// Prints what it did; ends with 1 where something passed that must not.
#include <fmt/format.h>
#include <sodium.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "../../verify/checkpoint.h"
#include "../../verify/files.h"
#include "../../verify/tiles.h"
#include "../../verify/tree.h"
#include "../../verify/verify.h"

namespace {

using namespace fieldprint::verify;
using Export = std::map<std::string, std::string>;

Export load(const std::filesystem::path& directory) {
  Export files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory)) {
    if (!entry.is_regular_file()) continue;
    std::ifstream file(entry.path(), std::ios::binary);
    files[std::filesystem::relative(entry.path(), directory).string()] =
        std::string(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  return files;
}

bool sound(const Export& files, size_t faults_max) {
  return check(in_memory(files).get(), {.faults_max = faults_max}).sound();
}

int flips(Export files, uint64_t every) {
  uint64_t bit = 0, flipped = 0, missed = 0;
  for (auto& [path, bytes] : files) {
    for (size_t at = 0; at < bytes.size() * 8; ++at) {
      if (bit++ % every != 0) continue;
      bytes[at / 8] = static_cast<char>(bytes[at / 8] ^ 1 << at % 8);
      ++flipped;
      if (sound(files, 1)) {
        ++missed;
        fmt::print("not found: bit {} of {}\n", at, path);
      }
      bytes[at / 8] = static_cast<char>(bytes[at / 8] ^ 1 << at % 8);
    }
  }
  fmt::print("{} of {} single-bit flips found\n", flipped - missed, flipped);
  return missed == 0 && flipped > 0 ? 0 : 1;
}

// The pieces of a file whose lengths are in `bytes_of_length` bytes before each.
std::vector<std::string> split(const std::string& bytes, size_t bytes_of_length, bool big_endian) {
  std::vector<std::string> pieces;
  for (size_t at = 0; at + bytes_of_length <= bytes.size();) {
    size_t length = 0;
    for (size_t i = 0; i < bytes_of_length; ++i)
      length |= size_t{static_cast<uint8_t>(bytes[at + i])} << 8 * (big_endian ? bytes_of_length - 1 - i : i);
    pieces.push_back(bytes.substr(at + bytes_of_length, length));
    at += bytes_of_length + length;
  }
  return pieces;
}

class Mutator {
 public:
  explicit Mutator(uint64_t seed) : random_(seed) {}
  size_t below(size_t end) { return std::uniform_int_distribution<size_t>(0, end - 1)(random_); }

  void change(std::vector<std::string>& pieces) {
    const size_t at = below(pieces.size());
    const std::string other = pieces[below(pieces.size())];
    std::string piece = pieces[at];
    switch (below(9)) {
      case 0:
        piece = other;
        break;
      case 1:
        std::swap(piece, pieces[below(pieces.size())]);
        break;
      case 2:
        piece.resize(below(piece.size() + 1));
        break;
      case 3:
        piece = piece.substr(0, below(piece.size() + 1)) + other.substr(below(other.size() + 1));
        break;
      case 4:
        if (pieces.size() > 1) pieces.erase(pieces.begin() + static_cast<ptrdiff_t>(at));
        return;
      case 5:
        pieces.insert(pieces.begin() + static_cast<ptrdiff_t>(at), other);
        return;
      default:
        if (!piece.empty()) piece[below(piece.size())] = static_cast<char>(below(3) != 0 ? below(256) : below(32));
    }
    if (piece.size() > UINT16_MAX) piece.resize(UINT16_MAX);
    pieces[at] = std::move(piece);
  }

 private:
  std::mt19937_64 random_;
};

std::string base64(const Hash& hash) {
  std::string text(sodium_base64_encoded_len(hash.size(), sodium_base64_VARIANT_ORIGINAL), '\0');
  sodium_bin2base64(text.data(), text.size(), hash.data(), hash.size(), sodium_base64_VARIANT_ORIGINAL);
  text.pop_back();
  return text;
}

// Tiles and a checkpoint that fit the events, signed by whoever signed before.
void rebuild(Export& files, const std::vector<std::string>& events) {
  std::erase_if(files, [](const auto& file) { return file.first.starts_with("tile/"); });
  const auto width = static_cast<unsigned>(events.size());
  Frontier tree;
  std::string &bundle = files[tile_path("entries", 0, width)], &tile = files[tile_path("0", 0, width)];
  for (const std::string& event : events) {
    bundle += static_cast<char>(event.size() >> 8);
    bundle += static_cast<char>(event.size());
    bundle += event;
    tile += view(leaf_hash(event));
    tree.append(leaf_hash(event));
  }
  std::string& checkpoint = files["checkpoint"];
  const std::string origin = checkpoint.substr(0, checkpoint.find('\n'));
  const std::string signatures = checkpoint.substr(checkpoint.find("\n\n"));
  checkpoint = fmt::format("{}\n{}\n{}{}", origin, events.size(), base64(tree.root()), signatures);
}

int mutants(const Export& files, uint64_t count) {
  std::vector<std::string> events;
  std::string records;
  for (const auto& [path, bytes] : files) {
    if (path.starts_with("tile/entries/")) events = split(bytes, 2, true);
    if (path == "records") records = bytes;
  }
  const std::vector<std::string> pieces = split(records, 4, false);
  if (events.empty() || events.size() > 200 || pieces.empty()) return 2;
  uint64_t missed = 0;
  for (uint64_t seed = 0; seed < count; ++seed) {
    Mutator mutator(seed);
    Export copy = files;
    std::vector<std::string> changed = events, changed_records = pieces;
    for (size_t i = mutator.below(4) + 1; i > 0; --i) mutator.change(mutator.below(4) != 0 ? changed : changed_records);
    if (changed == events && changed_records == pieces) continue;
    rebuild(copy, changed);
    std::string& out = copy["records"];
    out.clear();
    for (const std::string& piece : changed_records) {
      for (size_t i = 0; i < 4; ++i) out += static_cast<char>(piece.size() >> 8 * i);
      out += piece;
    }
    if (sound(copy, 1 + mutator.below(100))) {
      ++missed;
      fmt::print("not found: mutant {}\n", seed);
    }
  }
  fmt::print("{} of {} mutants refused\n", count - missed, count);
  return missed == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4 || sodium_init() < 0) return 2;
  const Export files = load(argv[1]);
  const uint64_t number = std::strtoull(argv[3], nullptr, 10);
  if (number == 0 || !sound(files, 100)) {
    fmt::print("the export is not sound to begin with\n");
    return 2;
  }
  return std::string(argv[2]) == "flips" ? flips(files, number) : mutants(files, number);
}
