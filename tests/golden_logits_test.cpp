// Logits against golden data (tests/golden/logits, made with float32 weights as the file means them): the reference
// executor must meet them, the fast one must be at least as close as the best known peer, whose error the table below
// gives.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "fieldprint/session.h"
#include "support/paths.h"

namespace fieldprint {
namespace {

struct Row {
  const char* name;
  double reference_bound;
  double peer;  // the NMSE of llama.cpp's CPU backend (2026-05, F32 K/V); 0: not known, the reference's bound x 1000
};

constexpr Row kRows[] = {
    {"llama-f16", 1e-6, 0},           {"llama-q8_0", 1e-10, 1.65e-3},     {"llama-q4_1", 1e-10, 1.66e-3},
    {"llama-q6_k", 1e-10, 2.73e-3},   {"llama-iq4_nl", 1e-10, 1.49e-3},   {"lfm2moe-f16", 1e-6, 0},
    {"lfm2moe-q8_0", 1e-10, 2.95e-3}, {"lfm2moe-q6_k", 1e-10, 7.29e-3},   {"lfm2moe-q4_k_s", 1e-10, 4.94e-3},
    {"lfm2moe-q4_0", 1e-10, 2.78e-3}, {"lfm2moe-iq4_xs", 1e-10, 3.61e-3}, {"lfm2-f16", 1e-6, 0},
    {"lfm2-q6_k", 1e-10, 1.67e-3},    {"lfm2-q4_k_s", 1e-10, 1.71e-3},    {"lfm2-q8_0", 1e-10, 7.30e-4},
};

// Some lie in the project, all in ../shared; empty where neither has it.
std::filesystem::path golden_file(const std::string& name) {
  for (const auto& folder : {golden_dir() / "logits", shared_dir() / "golden" / "logits"}) {
    if (std::filesystem::exists(folder / name)) return folder / name;
  }
  return {};
}

std::vector<TokenId> golden_tokens() {
  std::ifstream in(golden_dir() / "logits" / "tokens.txt");
  std::vector<TokenId> tokens;
  for (TokenId id; in >> id;) tokens.push_back(id);
  return tokens;
}

std::vector<float> golden_logits(const std::string& name) {
  std::ifstream in(golden_file(name + ".exact"), std::ios::binary);
  std::vector<char> bytes{std::istreambuf_iterator<char>(in), {}};
  std::vector<float> values(bytes.size() / sizeof(float));
  std::memcpy(values.data(), bytes.data(), values.size() * sizeof(float));
  return values;
}

std::vector<float> run(const std::string& name, const SessionOptions& options, const LoadOptions& load = {}) {
  Session session(Model::load(golden_file(name + ".gguf"), load), options);
  std::vector<float> out;
  session.append(golden_tokens(),
                 [&](int, std::span<const float> logits) { out.insert(out.end(), logits.begin(), logits.end()); });
  return out;
}

double nmse(const std::vector<float>& exact, const std::vector<float>& got) {
  double difference = 0, size = 0;
  for (size_t i = 0; i < exact.size(); ++i) {
    const double a = static_cast<double>(exact[i]), b = static_cast<double>(got[i]);
    difference += (a - b) * (a - b);
    size += a * a;
  }
  return difference / size;
}

TEST(GoldenLogits, ReferenceMeetsThemAndRunBeatsThePeer) {
  ASSERT_EQ(golden_tokens().size(), 48u);
  for (const Row& row : kRows) {
    SCOPED_TRACE(row.name);
    if (golden_file(std::string(row.name) + ".gguf").empty()) {
      printf("%-14s skipped: it is in ../shared only\n", row.name);
      continue;
    }
    const auto exact = golden_logits(row.name);
    SessionOptions reference;
    reference.executor = "reference";
    const auto slow = run(row.name, reference), fast = run(row.name, {});
    ASSERT_EQ(slow.size(), exact.size());
    ASSERT_EQ(fast.size(), exact.size());
    EXPECT_LE(nmse(exact, slow), row.reference_bound);
    const double bound = row.peer > 0 ? row.peer : row.reference_bound * 1000;
    EXPECT_LE(nmse(exact, fast), bound);
    printf("%-14s reference %.2e  run %.2e  (peer %.2e)\n", row.name, nmse(exact, slow), nmse(exact, fast), row.peer);
  }
}

// The determinism contract, over the public API: threads, chunks, page sizes and instruction sets change no bit.
TEST(GoldenLogits, SameBitsForAnyThreadsChunkPageAndIsa) {
  for (const char* name : {"llama-q4_1", "llama-q8_0", "llama-f16", "llama-q6_k", "lfm2moe-q4_0", "lfm2-q4_k_s"}) {
    const auto expected = run(name, {}, {.threads = 1, .isa = "scalar"});
    const auto eight_bits = run(name, {.kv_type = "q8_0"}, {.threads = 1, .isa = "scalar"});
    for (const std::string isa : {"scalar", "avx2", "avx512"}) {
      LoadOptions load{.threads = 1, .isa = isa};
      try {
        (void)Model::load(golden_file(std::string(name) + ".gguf"), load);
      } catch (const std::exception& e) {
        printf("skipped %s: %s\n", isa.c_str(), e.what());
        continue;
      }
      for (const int threads : {1, 2, 3, 64}) {
        for (const int chunk : {1, 7, 48}) {
          for (const int page : {1, 7, 64}) {
            if (threads == 64 && (chunk != 7 || page != 64)) continue;     // most of them asleep: once
            if (isa == "scalar" && (page == 7 || threads == 2)) continue;  // the slow one: fewer
            load.threads = threads;
            const auto got = run(name, {.chunk = chunk, .page_size = page}, load);
            ASSERT_EQ(got.size(), expected.size());
            EXPECT_EQ(std::memcmp(got.data(), expected.data(), got.size() * sizeof(float)), 0)
                << name << " isa " << isa << " threads " << threads << " chunk " << chunk << " page " << page;
            if (threads == 2 || chunk == 48) continue;
            const auto q8_0 = run(name, {.chunk = chunk, .page_size = page, .kv_type = "q8_0"}, load);
            EXPECT_EQ(std::memcmp(q8_0.data(), eight_bits.data(), q8_0.size() * sizeof(float)), 0)
                << name << " K/V in 8 bits, isa " << isa << " threads " << threads << " chunk " << chunk << " page "
                << page;
          }
        }
      }
    }
  }
}

// Going back and on again, at every length: the convolutions' state is replayed or taken from a snapshot, and no bit
// differs from never having stopped.
TEST(GoldenLogits, AHybridModelGoesBackExactly) {
  for (const char* name : {"lfm2moe-q4_0", "lfm2-q4_k_s"}) {
    auto tokens = golden_tokens();
    for (int i = 0; i < 80; ++i) tokens.push_back((i * 37 + 5) % 320);
    const auto model = Model::load(golden_file(std::string(name) + ".gguf"));
    Session whole(model);
    whole.append(tokens);
    const std::vector<float> expected(whole.logits().begin(), whole.logits().end());
    Session session(model, {.chunk = 50});
    session.append(tokens);
    for (const int size : {127, 126, 120, 110, 101, 100, 99, 65, 64, 63, 40, 9, 5, 1, 0}) {
      session.truncate(size);
      const std::vector<TokenId> other = {7, 8, 9};
      if (size % 2 == 0) session.append(other);  // another branch, left again
      session.assign(tokens);
      ASSERT_EQ(session.tokens().size(), tokens.size());
      EXPECT_EQ(std::memcmp(session.logits().data(), expected.data(), expected.size() * sizeof(float)), 0)
          << name << " back to " << size;
    }
  }
}

// A fork goes its own way, a saved session goes on where it was, with any page size: the same bits as never having
// stopped.
TEST(GoldenLogits, ForksAndSavedSessionsGoOnExactly) {
  const std::string saved =
      (std::filesystem::temp_directory_path() / fmt::format("fieldprint-session-{}", ::getpid())).string();
  for (const char* name : {"llama-q4_1", "lfm2moe-q4_0", "lfm2-q4_k_s"}) {
    auto tokens = golden_tokens();
    for (int i = 0; i < 80; ++i) tokens.push_back((i * 37 + 5) % 320);
    const auto model = Model::load(golden_file(std::string(name) + ".gguf"));
    for (const char* kv_type : {"f16", "bf16", "q8_0", "f32"}) {
      SCOPED_TRACE(fmt::format("{} {}", name, kv_type));
      Session whole(model, {.kv_type = kv_type});
      whole.append(tokens);
      const std::vector<float> expected(whole.logits().begin(), whole.logits().end());
      const auto same = [&](const Session& session) {
        return session.logits().size() == expected.size() &&
               std::memcmp(session.logits().data(), expected.data(), expected.size() * sizeof(float)) == 0;
      };
      for (const size_t size : {1u, 40u, 64u, 100u}) {
        const auto head = std::span(tokens).first(size), tail = std::span(tokens).subspan(size);
        Session session(model, {.chunk = 33, .page_size = 16, .kv_type = kv_type});
        session.append(head);
        session.save(saved);
        Session fork = session.fork();
        EXPECT_EQ(std::vector(fork.logits().begin(), fork.logits().end()),
                  std::vector(session.logits().begin(), session.logits().end()));
        const std::vector<TokenId> other = {7, 8, 9};
        fork.append(other);
        session.append(tail);
        EXPECT_TRUE(same(session)) << "with a fork beside it, from " << size;
        fork.assign(tokens);
        EXPECT_TRUE(same(fork)) << "the fork, from " << size;
        Session restored(model, {.page_size = 64, .kv_type = kv_type});
        restored.append(other);
        restored.load(saved);
        EXPECT_EQ(restored.tokens().size(), size);
        restored.append(tail);
        EXPECT_TRUE(same(restored)) << "saved and restored at " << size;
      }
    }
  }
  std::filesystem::remove(saved);
}

}  // namespace
}  // namespace fieldprint
