// A decode step takes no memory once it has been warm: this binary counts what operator new is asked for.
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <new>

#include "fieldprint/session.h"
#include "fieldprint/synth.h"

namespace {

std::atomic<bool> counting{false};
std::atomic<int64_t> allocations{0};

[[maybe_unused]] void* counted(size_t bytes, size_t alignment) {
  if (counting.load(std::memory_order_relaxed)) allocations.fetch_add(1, std::memory_order_relaxed);
  void* memory = std::aligned_alloc(alignment, (bytes + alignment) / alignment * alignment);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace

#if defined(__SANITIZE_ADDRESS__)
#define FIELDPRINT_OWN_NEW 0  // it watches memory by operators of its own
#else
#define FIELDPRINT_OWN_NEW 1
#endif

#if FIELDPRINT_OWN_NEW
[[gnu::noinline]] void* operator new(size_t bytes) { return counted(bytes, alignof(std::max_align_t)); }
[[gnu::noinline]] void* operator new[](size_t bytes) { return counted(bytes, alignof(std::max_align_t)); }
[[gnu::noinline]] void* operator new(size_t bytes, std::align_val_t alignment) {
  return counted(bytes, static_cast<size_t>(alignment));
}
[[gnu::noinline]] void* operator new[](size_t bytes, std::align_val_t alignment) {
  return counted(bytes, static_cast<size_t>(alignment));
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete[](void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, size_t) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete[](void* memory, size_t) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete[](void* memory, std::align_val_t) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, size_t, std::align_val_t) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete[](void* memory, size_t, std::align_val_t) noexcept { std::free(memory); }
#endif

namespace fieldprint {
namespace {

// Over ground that has been walked before: what a context keeps of its tokens grows with them, and by doubling.
TEST(DecodeAllocation, AWarmStepTakesNoMemory) {
  if (!FIELDPRINT_OWN_NEW) GTEST_SKIP() << "AddressSanitizer has an operator new of its own";
  const auto folder = std::filesystem::temp_directory_path() / ("fieldprint-new-" + std::to_string(::getpid()));
  std::filesystem::create_directories(folder);
  const std::string file = (folder / "model.gguf").string();
  for (const char* preset : {"tiny-llama", "tiny-lfm2", "tiny-lfm2moe", "tiny-qwen35moe", "tiny-granitehybrid"}) {
    SynthOptions options;
    options.preset = preset;
    options.mix = "Q4_K";
    synth(file, options);
    const auto model = Model::load(file, {.threads = 2});
    for (const bool influence : {false, true}) {
      SCOPED_TRACE(testing::Message() << preset << (influence ? " with influence" : ""));
      Session session(model, {.influence = influence});
      const auto decode = [&](int from, int to) {
        for (TokenId t = from; t < to; ++t) {
          const TokenId token = t * 31 % 256;
          session.append(std::span(&token, 1));
        }
      };
      decode(0, 300);
      for (int walk = 0; walk < 2; ++walk) {  // the first leaves a snapshot of the recurrent state where it turned back
        session.truncate(20);
        decode(20, 300);
      }
      session.truncate(20);
      decode(20, 22);
      allocations = 0;
      counting = true;
      decode(22, 300);
      counting = false;
      EXPECT_EQ(allocations.load(), 0);
      counting = true;
      const auto fresh = std::make_unique<int>(1);
      counting = false;
      EXPECT_EQ(allocations.load(), 1) << "the counter counts";
      decode(300, 310);
    }
  }
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace fieldprint
