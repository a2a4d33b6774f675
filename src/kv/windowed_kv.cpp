#include "kv/windowed_kv.h"

#include <algorithm>
#include <limits>
#include <vector>

namespace fieldprint {

WindowedKv::WindowedKv(WindowLayers& layers) : pages_(layers.layout, layers.pool), window_(layers.window) {
  for (int i = 0; i < layers.layout.layers(); ++i) layers_ += layers.layout.layer(i).kv_heads > 0;
}

// Attention loads whole tiles, so what lies before the window in its first tile must be there too, if not right.
bool WindowedKv::ready(int begin, int end) const {
  const int first = first_seen(begin);
  return end == 0 || (right_from_ <= first && pages_.holds(first / kTileKeys * kTileKeys, end));
}

void WindowedKv::rebuild(int begin, int end) {
  pages_.truncate(0);
  pages_.skip(begin);
  first_key_ = begin;
  right_from_ = end > 0 ? std::numeric_limits<int>::max() : 0;
  rebuilt_at_ = end;
}

void WindowedKv::finish(int end) {
  if (rebuilding() && end >= rebuilt_at_) {
    right_from_ = first_key_ > 0 ? first_seen(rebuilt_at_) : 0;
    rebuilt_at_ = 0;
  }
  pages_.release(std::max(0, first_seen(end) - window_) / kTileKeys * kTileKeys);
}

int64_t WindowedKv::saved_bytes(int tokens) const {
  return (tokens - first_seen(tokens)) * pages_.layout().bytes_per_token();
}

void WindowedKv::export_window(int tokens, std::span<std::byte> bytes) const {
  const auto each = static_cast<size_t>(pages_.layout().bytes_per_token());
  for (int p = first_seen(tokens); p < tokens; ++p, bytes = bytes.subspan(each)) pages_.copy_out(p, bytes.first(each));
}

// Of the positions before `first` the window sees nothing, but numbers they must be.
void WindowedKv::copy_in(int begin, int first, int tokens, std::span<const std::byte> bytes) {
  const auto each = static_cast<size_t>(pages_.layout().bytes_per_token());
  const std::vector<std::byte> zeros(each);
  for (int p = begin; p < first; ++p) pages_.copy_in(p, zeros);
  for (int p = first; p < tokens; ++p, bytes = bytes.subspan(each)) pages_.copy_in(p, bytes.first(each));
  rebuilt_at_ = 0;
  right_from_ = first;
}

}  // namespace fieldprint
