// The encoder that needs no model: words, neighbouring words and stretches of 3 to 5 characters of each word, hashed
// into 256 places with a sign (feature hashing, Weinberger et al. 2009), each counted by the square root of how often
// it is there. It finds what shares words and word stems, not what means the same in other words.
#include <cmath>
#include <string>
#include <unordered_map>

#include "memory/encoder.h"

namespace fieldprint::memory {

namespace {

constexpr int kDimensions = 256;

uint64_t hash(std::string_view text, uint64_t seed) {  // FNV-1a, and a last mix so that low bits depend on all
  uint64_t value = 14695981039346656037u ^ seed;
  for (const char c : text) value = (value ^ static_cast<unsigned char>(c)) * 1099511628211u;
  value ^= value >> 32;
  value *= 0xd6e8feb86659fd93u;
  return value ^ (value >> 32);
}

bool is_word(unsigned char c) {
  return c >= 0x80 || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  std::string word;
  for (size_t i = 0; i <= text.size(); ++i) {
    const auto c = i < text.size() ? static_cast<unsigned char>(text[i]) : static_cast<unsigned char>(' ');
    if (is_word(c)) {
      word += static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
    } else if (!word.empty()) {
      words.push_back(std::move(word));
      word.clear();
    }
  }
  return words;
}

// Words that stand in every text say nothing about it.
float weight_of(const std::string& word) { return word.size() <= 2 ? 0.2f : word.size() == 3 ? 0.6f : 1.0f; }

class NgramEncoder : public Encoder {
 public:
  std::string name() const override { return "ngram-1"; }
  int dimensions() const override { return kDimensions; }
  double least_cosine() const override { return 0.15; }  // of strangers: 0 with a deviation of 1/16

  std::vector<float> encode(std::string_view text) override {
    std::unordered_map<uint64_t, float> features;
    const std::vector<std::string> words = words_of(text);
    for (size_t i = 0; i < words.size(); ++i) {
      const std::string& word = words[i];
      const float weight = weight_of(word);
      features[hash(word, 1)] += 4 * weight;
      if (i > 0) features[hash(words[i - 1] + " " + word, 2)] += weight;
      const std::string framed = "<" + word + ">";
      for (size_t n = 3; n <= 5; ++n) {
        for (size_t j = 0; j + n <= framed.size(); ++j) features[hash(framed.substr(j, n), 3)] += 0.5f * weight;
      }
    }
    // Summed in whole numbers: the order of a hash map must not show in the bits.
    std::vector<int64_t> sums(kDimensions);
    for (const auto& [feature, count] : features) {
      const auto value = static_cast<int64_t>(std::lround(std::sqrt(count) * 65536));
      sums[feature % kDimensions] += (feature >> 63) != 0 ? -value : value;
    }
    double square = 0;
    for (const int64_t sum : sums) square += static_cast<double>(sum) * static_cast<double>(sum);
    const double length = std::sqrt(square);
    std::vector<float> vector(kDimensions);
    for (size_t i = 0; length > 0 && i < vector.size(); ++i) {
      vector[i] = static_cast<float>(static_cast<double>(sums[i]) / length);
    }
    return vector;
  }
};

}  // namespace

std::unique_ptr<Encoder> make_ngram_encoder(const std::shared_ptr<const Model>&) {
  return std::make_unique<NgramEncoder>();
}

}  // namespace fieldprint::memory
