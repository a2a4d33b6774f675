#include "memory/index.h"

#include <algorithm>
#include <cassert>
#include <chrono>
#include <future>
#include <unordered_map>

#if defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wextra"
#endif
#include <hnswlib/hnswlib.h>
#if defined(__GNUC__)
#pragma GCC diagnostic pop
#endif

#include "memory/registry.h"

namespace fieldprint::memory {

namespace {

// What hnswlib calls a space: the distance of two vectors, here the negative product of codes.
class CodeSpace : public hnswlib::SpaceInterface<int> {
 public:
  explicit CodeSpace(size_t dimensions) : dimensions_(dimensions) {}
  size_t get_data_size() override { return dimensions_; }
  hnswlib::DISTFUNC<int> get_dist_func() override { return distance; }
  void* get_dist_func_param() override { return &dimensions_; }

 private:
  static int distance(const void* a, const void* b, const void* dimensions) {
    const size_t size = *static_cast<const size_t*>(dimensions);
    return -dot({static_cast<const int8_t*>(a), size}, {static_cast<const int8_t*>(b), size});
  }
  size_t dimensions_;
};

constexpr size_t kLinks = 16, kBuildWidth = 100, kSeed = 1;  // of the graph, as hnswlib calls M, ef_construction

}  // namespace

// A graph and the copy of codes that hnswlib makes for it.
struct Graph {
  Graph(size_t dimensions, size_t capacity) : space(dimensions), graph(&space, capacity, kLinks, kBuildWidth, kSeed) {}
  CodeSpace space;
  hnswlib::HierarchicalNSW<int> graph;
  size_t size = 0;  // records in it: the first so many of the index
};

struct VectorIndex::State {
  explicit State(int d) : dimensions(static_cast<size_t>(d)) {}

  std::span<const int8_t> codes_at(size_t place) const {
    return std::span(codes).subspan(place * dimensions, dimensions);
  }
  void take_graph();
  void extend_graph();

  const size_t dimensions;
  std::vector<int8_t> codes;  // [records, dimensions]
  std::vector<RecordId> ids;
  std::vector<bool> removed;
  std::unordered_map<RecordId, size_t, IdHash> places;
  std::unique_ptr<Graph> graph;
  std::future<std::unique_ptr<Graph>> building;
};

namespace {

constexpr size_t kAtOnce = 64;  // records that are put into the graph where they come in; more of them beside the work

void add_to(Graph& graph, std::span<const int8_t> codes, size_t dimensions) {
  const size_t count = codes.size() / dimensions;
  const size_t needed = graph.size + count;
  if (needed > graph.graph.max_elements_) graph.graph.resizeIndex(2 * needed);
  for (size_t i = 0; i < count; ++i) graph.graph.addPoint(codes.data() + i * dimensions, graph.size++);
}

}  // namespace

void VectorIndex::State::take_graph() {
  if (building.valid() && building.wait_for(std::chrono::seconds(0)) == std::future_status::ready) {
    graph = building.get();
  }
}

void VectorIndex::State::extend_graph() {
  if (building.valid()) return;
  const size_t begin = graph ? graph->size : 0;
  const std::span<const int8_t> rest = std::span(codes).subspan(begin * dimensions);
  if (graph && ids.size() - begin <= kAtOnce) return add_to(*graph, rest, dimensions);
  if (!graph && ids.size() < kGraphFrom) return;
  building = std::async(
      std::launch::async,
      [from = std::move(graph), copy = std::vector<int8_t>(rest.begin(), rest.end()), d = dimensions]() mutable {
        auto result = from ? std::move(from) : std::make_unique<Graph>(d, 2 * copy.size() / d);
        add_to(*result, copy, d);
        return result;
      });
}

VectorIndex::VectorIndex(int dimensions) : state_(std::make_unique<State>(dimensions)) {}
VectorIndex::~VectorIndex() = default;
VectorIndex::VectorIndex(VectorIndex&&) noexcept = default;

size_t VectorIndex::size() const { return state_->places.size(); }
bool VectorIndex::has_graph() const { return state_->graph != nullptr; }

void VectorIndex::add(const RecordId& id, std::span<const int8_t> codes) {
  State& s = *state_;
  assert(codes.size() == s.dimensions);
  if (!s.places.emplace(id, s.ids.size()).second) return;
  s.codes.insert(s.codes.end(), codes.begin(), codes.end());
  s.ids.push_back(id);
  s.removed.push_back(false);
}

void VectorIndex::remove(const RecordId& id) {
  const auto found = state_->places.find(id);
  if (found == state_->places.end()) return;
  const size_t place = found->second;
  state_->removed[place] = true;
  std::fill_n(state_->codes.begin() + static_cast<ptrdiff_t>(place * state_->dimensions), state_->dimensions,
              int8_t{0});
  state_->places.erase(found);
}

std::vector<Hit> VectorIndex::search(std::span<const int8_t> query, size_t limit,
                                     const std::function<bool(const RecordId&)>& allowed) {
  State& s = *state_;
  assert(query.size() == s.dimensions);
  s.take_graph();
  s.extend_graph();
  const auto worse = [](const Hit& a, const Hit& b) { return a.score != b.score ? a.score < b.score : a.id > b.id; };
  std::vector<Hit> looked, hits;
  const auto look = [&](size_t place) {
    if (!s.removed[place]) looked.push_back({s.ids[place], dot(query, s.codes_at(place))});
  };
  // The best first, and no more of them asked about than it takes: `allowed` costs more than a product.
  const auto choose = [&] {
    std::make_heap(looked.begin(), looked.end(), worse);
    for (auto end = looked.end(); end != looked.begin() && hits.size() < limit; --end) {
      std::pop_heap(looked.begin(), end, worse);
      if (allowed((end - 1)->id)) hits.push_back(*(end - 1));
    }
  };
  if (s.graph) {
    // Wide enough that those which are not allowed leave enough; where they do not, all are looked at.
    const size_t width = std::max<size_t>(256, 16 * limit);
    auto proposed = s.graph->graph.searchKnn(query.data(), std::min(width, s.graph->size));
    for (; !proposed.empty(); proposed.pop()) look(proposed.top().second);
    for (size_t place = s.graph->size; place < s.ids.size(); ++place) look(place);  // not in it yet
    choose();
  }
  if (hits.size() < limit) {
    looked.clear();
    hits.clear();
    for (size_t place = 0; place < s.ids.size(); ++place) look(place);
    choose();
  }
  return hits;
}

}  // namespace fieldprint::memory
