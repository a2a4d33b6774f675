// The keys and values of one sequence in the layers that share one sliding window. A page wholly behind the window is
// given back while the sequence goes on, so these layers take the memory of two windows however long the context grows.
//
// Going back. Two windows are kept, so a sequence that goes back by at most one window has all that the next token
// sees. Farther back the pages are gone, and the last tokens are passed again (a replay): a key of the lowest window
// layer depends on its own token alone, one of the layer above on a window more, and so on. After layers * (window - 1)
// tokens the last window is right in every layer, with the same bits as before; layers without a window keep theirs all
// the while. Pinned pages stay: going back to an anchor needs no replay.
#pragma once

#include <cstdint>
#include <span>

#include "kernels/table.h"
#include "kv/layout.h"
#include "kv/page_pool.h"
#include "kv/sequence.h"

namespace fieldprint {

// The layers of one window and their pages.
struct WindowLayers {
  int window;
  KvLayout layout;
  PagePool pool;

  WindowLayers(const KvLayout& all, int of_window)
      : window(of_window), layout(all.of_window(window)), pool(layout.page_bytes()) {}
};

class WindowedKv {
 public:
  explicit WindowedKv(WindowLayers& layers);

  int window() const { return window_; }
  KvSequence& pages() { return pages_; }
  const KvSequence& pages() const { return pages_; }

  // Tokens whose replay makes the last window, beside what layers of other windows below them need.
  int reach() const { return layers_ * (window_ - 1); }

  void truncate(int tokens) { pages_.truncate(tokens); }
  // Whether all that tokens at positions `begin` and later see is there, `end` tokens in all.
  bool ready(int begin, int end) const;
  // Forgets everything; positions [begin, end) are to be passed again. `begin` is a multiple of kTileKeys.
  void rebuild(int begin, int end);
  bool rebuilding() const { return rebuilt_at_ > 0; }
  int first_key() const { return first_key_; }  // there is none before it, and none may be looked at
  void finish(int end);                         // a step has ended there: gives back what is behind the window

  // ---- What the next token sees of the first `tokens`, in a saved session: position by position as copy_out() has it.
  int64_t saved_bytes(int tokens) const;
  void export_window(int tokens, std::span<std::byte> bytes) const;
  // Into an empty one: forgets everything, takes up positions as reserve(pages, begin, end) says.
  template <class Reserve>
  void import_window(int tokens, std::span<const std::byte> bytes, Reserve&& reserve) {
    const int first = first_seen(tokens), begin = first / kTileKeys * kTileKeys;
    rebuild(begin, tokens);
    reserve(pages_, begin, tokens);
    copy_in(begin, first, tokens, bytes);
  }

 private:
  int first_seen(int position) const { return position + 1 > window_ ? position + 1 - window_ : 0; }
  void copy_in(int begin, int first, int tokens, std::span<const std::byte> bytes);

  KvSequence pages_;
  int window_, layers_ = 0;
  int first_key_ = 0;
  int right_from_ = 0;  // from this position on all layers are right
  int rebuilt_at_ = 0;  // the end of a replay that is under way; 0: none
};

}  // namespace fieldprint
