// What every LedgerStore has to do, as tests over a function that opens the store of a directory:
//   INSTANTIATE_TEST_SUITE_P(Sqlite, StoreConformance, testing::Values(open_sqlite));
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "fieldprint/error.h"
#include "ledger/store.h"
#include "support/files.h"
#include "support/temp_home.h"

namespace fieldprint::ledger {

using OpenStore = std::function<std::unique_ptr<LedgerStore>(const std::filesystem::path& directory)>;

inline Bytes bytes_of(std::string_view text) { return {view_of(text).begin(), view_of(text).end()}; }

class StoreConformance : public testing::TestWithParam<OpenStore> {
 protected:
  StoreConformance() { reopen(); }
  void reopen() {
    store.reset();
    store = GetParam()(home.path());
  }
  void append(const Batch& batch) { store->append(store->size(), {&batch, 1}); }
  std::vector<std::string> keys(int space, std::string_view prefix, std::string_view from = "", int64_t limit = 1000) {
    std::vector<std::string> found;
    store->scan(space, view_of(prefix), view_of(from), limit,
                [&](ByteView key, ByteView) { found.emplace_back(text_of(key)); });
    return found;
  }
  std::optional<std::string> value(int space, std::string_view key) {
    const auto found = store->get(space, view_of(key));
    return found ? std::optional(std::string(text_of(*found))) : std::nullopt;
  }

  TempHome home;
  std::unique_ptr<LedgerStore> store;
};

TEST_P(StoreConformance, BeginsEmptyWithAnIdOfItsOwn) {
  EXPECT_EQ(store->size(), 0);
  const Bytes id = store->id();
  EXPECT_EQ(id.size(), 16u);
  EXPECT_THROW(store->leaf(0), Error);
  EXPECT_EQ(value(1, "a"), std::nullopt);
  reopen();
  EXPECT_EQ(store->id(), id);
  const TempHome other;
  EXPECT_NE(GetParam()(other.path())->id(), id);
}

TEST_P(StoreConformance, KeepsLeavesAndRows) {
  append({{bytes_of("zero"), bytes_of("")}, {{1, bytes_of("k"), bytes_of("v")}}});
  append({{bytes_of("two")}, {}});
  append({{}, {{1, bytes_of("k2"), bytes_of("")}}});
  append({{Bytes(65'535, std::byte{7})}, {}});
  for (int i = 0; i < 2; ++i, reopen()) {
    EXPECT_EQ(store->size(), 4);
    EXPECT_EQ(store->leaf(0), bytes_of("zero"));
    EXPECT_EQ(store->leaf(1), Bytes());
    EXPECT_EQ(store->leaf(3).size(), 65'535u);
    EXPECT_THROW(store->leaf(4), Error);
    EXPECT_THROW(store->leaf(-1), Error);
    std::vector<int64_t> seen;
    store->leaves(1, 3, [&](int64_t index, ByteView) { seen.push_back(index); });
    EXPECT_EQ(seen, (std::vector<int64_t>{1, 2}));
    EXPECT_THROW(store->leaves(2, 5, [](int64_t, ByteView) {}), Error);
    EXPECT_EQ(value(1, "k"), "v");
    EXPECT_EQ(value(1, "k2"), "");
    EXPECT_EQ(value(2, "k"), std::nullopt);
  }
}

TEST_P(StoreConformance, LastWriteToAKeyHolds) {
  append(
      {{}, {{1, bytes_of("a"), bytes_of("1")}, {1, bytes_of("a"), bytes_of("2")}, {1, bytes_of("b"), bytes_of("3")}}});
  append(
      {{}, {{1, bytes_of("b"), std::nullopt}, {1, bytes_of("c"), std::nullopt}, {-5, bytes_of("a"), bytes_of("4")}}});
  EXPECT_EQ(value(1, "a"), "2");
  EXPECT_EQ(value(1, "b"), std::nullopt);
  EXPECT_EQ(value(-5, "a"), "4");
}

TEST_P(StoreConformance, ScansInTheOrderOfBytes) {
  Batch batch;
  for (const std::string& key : {std::string("b"), std::string("a\xff"), std::string("a"), std::string("ab"),
                                 std::string("\0", 1), std::string("a\0", 2), std::string("\xff\xff")}) {
    batch.writes.push_back({3, bytes_of(key), bytes_of("x")});
  }
  append(batch);
  EXPECT_EQ(keys(3, "a"), (std::vector<std::string>{"a", std::string("a\0", 2), "ab", "a\xff"}));
  EXPECT_EQ(keys(3, "a", "ab"), (std::vector<std::string>{"ab", "a\xff"}));
  EXPECT_EQ(keys(3, "", "b"), (std::vector<std::string>{"b", "\xff\xff"}));
  EXPECT_EQ(keys(3, "\xff"), (std::vector<std::string>{"\xff\xff"}));
  EXPECT_EQ(keys(3, "", "", 2), (std::vector<std::string>{std::string("\0", 1), "a"}));
  EXPECT_EQ(keys(3, "", "", 0), std::vector<std::string>());
  EXPECT_EQ(keys(3, "a", "b"), std::vector<std::string>());
  EXPECT_EQ(keys(4, ""), std::vector<std::string>());
}

TEST_P(StoreConformance, CallbacksMayReadTheStoreAndStopByThrowing) {
  append({{bytes_of("0"), bytes_of("1")}, {{1, bytes_of("0"), bytes_of("a")}, {1, bytes_of("1"), bytes_of("b")}}});
  std::string got;
  store->leaves(0, 2, [&](int64_t, ByteView leaf) { got += text_of(*store->get(1, leaf)); });
  EXPECT_EQ(got, "ab");
  EXPECT_THROW(store->leaves(0, 2, [](int64_t, ByteView) { throw std::runtime_error("enough"); }), std::runtime_error);
  EXPECT_EQ(store->leaf(1), bytes_of("1"));
  append({{bytes_of("2")}, {}});
}

TEST_P(StoreConformance, TheSecondOfTwoWritersIsRefused) {
  append({{bytes_of("0")}, {}});
  const Batch batch{{bytes_of("1")}, {{1, bytes_of("k"), bytes_of("v")}}};
  store->append(1, {&batch, 1});
  EXPECT_THROW(store->append(1, {&batch, 1}), Error);
  EXPECT_THROW(store->append(3, {&batch, 1}), Error);
  EXPECT_EQ(store->size(), 2);
  store->append(2, {&batch, 1});  // that was no fault of the store
  reopen();
  EXPECT_EQ(store->size(), 3);
}

TEST_P(StoreConformance, ASecondInstanceIsRefused) {
  append({{bytes_of("0")}, {}});
  EXPECT_THROW(GetParam()(home.path()), Error);
  append({{bytes_of("1")}, {}});
}

TEST_P(StoreConformance, ReadersSeeWholeTransactionsOnly) {
  std::atomic<bool> done{false};
  std::atomic<int> wrong{0};
  std::vector<std::thread> readers;
  for (int i = 0; i < 3; ++i) {
    readers.emplace_back([&] {
      while (!done) {
        const int64_t size = store->size();
        const auto row = store->get(1, view_of("size"));
        // The row is written with the leaf, so that it can only be ahead of a size that was read before.
        if (size > 0 && (!row || std::stoll(std::string(text_of(*row))) < size)) ++wrong;
        if (size > 0 && store->leaf(size - 1) != bytes_of(std::to_string(size))) ++wrong;
      }
    });
  }
  for (int i = 1; i <= 50; ++i) {
    append({{bytes_of(std::to_string(i))}, {{1, bytes_of("size"), bytes_of(std::to_string(i))}}});
    store->maintain();
  }
  done = true;
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(wrong, 0);
}

}  // namespace fieldprint::ledger
