// How the quant types' blocks become words across the lanes, and those the bytes that are multiplied: for any V.
#pragma once

#include <cstddef>

#include "kernels/lanes/matmul.h"
#include "quant/iq4_nl.h"
#include "quant/iq4_xs.h"
#include "quant/mxfp4.h"
#include "quant/q2_k.h"
#include "quant/q3_k.h"
#include "quant/q4_0.h"
#include "quant/q4_1.h"
#include "quant/q4_k.h"
#include "quant/q5_0.h"
#include "quant/q5_1.h"
#include "quant/q5_k.h"
#include "quant/q6_k.h"
#include "quant/q8_0.h"

namespace fieldprint {
namespace {

// What most formats are; a format names what is otherwise.
template <class B, int kBlocks, int kWords, int kLargest>
struct Format {
  using Block = B;
  static constexpr int kSuper = kBlocks, kRaw = kWords, kMost = kLargest, kOffset = 0, kGroups = 1;
  static constexpr bool kSigned = false, kMin = false;
};

template <class V>
inline typename V::Int low_nibbles(typename V::Int x) {
  return V::bit_and(x, V::bytes(15));
}
template <class V, int kShift, int kMask>
inline typename V::Int bits(typename V::Int x) {  // the bits from kShift on, under kMask
  return V::bit_and(V::template shift_right<kShift>(x), V::bytes(kMask));
}
// Bit or bits that begin at `kFrom` of every byte, moved to `kTo`, under kMask.
template <class V, int kFrom, int kTo, int kMask>
inline typename V::Int moved(typename V::Int x) {
  if constexpr (kFrom <= kTo) return V::bit_and(V::template shift_left<kTo - kFrom>(x), V::bytes(kMask));
  else return V::bit_and(V::template shift_right<kFrom - kTo>(x), V::bytes(kMask));
}

// 16 bytes of nibbles: value i in the low half of byte i, value i + 16 in the high half.
template <class V>
inline void expand_nibbles(const typename V::Int* raw, typename V::Int* values) {
  for (int i = 0; i < 4; ++i) values[i] = low_nibbles<V>(raw[i]), values[4 + i] = bits<V, 4, 15>(raw[i]);
}

// ---- Blocks of 32

template <class V>
struct FormatQ4_0 : Format<BlockQ4_0, 1, 4, 15> {
  static constexpr int kOffset = 8;
  static void read(const Rows<V>& rows, int64_t at, typename V::Int* raw, Scales<V, 1>* s) {
    s->d[0] = V::half_low(V::first_words(rows.row, at));
    read_words<V>(rows, at + 2, 16, raw);
  }
  template <int>
  static void expand(const typename V::Int* raw, typename V::Int* values) {
    expand_nibbles<V>(raw, values);
  }
};

template <class V>
struct FormatQ4_1 : Format<BlockQ4_1, 1, 4, 15> {
  static constexpr bool kMin = true;
  static void read(const Rows<V>& rows, int64_t at, typename V::Int* raw, Scales<V, 1>* s) {
    const typename V::Int both = V::first_words(rows.row, at);
    s->d[0] = V::half_low(both), s->m[0] = V::half_high(both);
    read_words<V>(rows, at + 4, 16, raw);
  }
  template <int>
  static void expand(const typename V::Int* raw, typename V::Int* values) {
    expand_nibbles<V>(raw, values);
  }
};

// raw[4] holds the fifth bits: value i in bit i.
template <class V>
inline void expand_five_bits(const typename V::Int* raw, typename V::Int* values) {
  expand_nibbles<V>(raw, values);
  const typename V::Int even = V::dwords(0x08040201), odd = V::dwords(static_cast<int>(0x80402010));
#pragma GCC unroll 8
  for (int i = 0; i < kVectors; ++i) {
    const typename V::Int byte = V::shuffle(raw[4], V::dwords(0x01010101 * (i / 2), 0x04040404));
    const typename V::Int bit = V::at_most(V::bit_and(byte, i % 2 == 0 ? even : odd), V::bytes(1));
    values[i] = V::bit_or(values[i], V::template shift_left<4>(bit));
  }
}

template <class V>
struct FormatQ5_0 : Format<BlockQ5_0, 1, 5, 31> {
  static constexpr int kOffset = 16;
  static void read(const Rows<V>& rows, int64_t at, typename V::Int* raw, Scales<V, 1>* s) {
    s->d[0] = V::half_low(V::first_words(rows.row, at));
    raw[4] = V::first_words(rows.row, at + 2);
    read_words<V>(rows, at + 6, 16, raw);
  }
  template <int>
  static void expand(const typename V::Int* raw, typename V::Int* values) {
    expand_five_bits<V>(raw, values);
  }
};

template <class V>
struct FormatQ5_1 : Format<BlockQ5_1, 1, 5, 31> {
  static constexpr bool kMin = true;
  static void read(const Rows<V>& rows, int64_t at, typename V::Int* raw, Scales<V, 1>* s) {
    const typename V::Int both = V::first_words(rows.row, at);
    s->d[0] = V::half_low(both), s->m[0] = V::half_high(both);
    raw[4] = V::first_words(rows.row, at + 4);
    read_words<V>(rows, at + 8, 16, raw);
  }
  template <int>
  static void expand(const typename V::Int* raw, typename V::Int* values) {
    expand_five_bits<V>(raw, values);
  }
};

template <class V>
struct FormatQ8_0 : Format<BlockQ8_0, 1, 8, 255> {
  static constexpr bool kSigned = true;
  static void read(const Rows<V>& rows, int64_t at, typename V::Int* raw, Scales<V, 1>* s) {
    s->d[0] = V::half_low(V::first_words(rows.row, at));
    read_words<V>(rows, at + 2, 32, raw);
  }
  template <int>
  static void expand(const typename V::Int* raw, typename V::Int* values) {
    for (int i = 0; i < kVectors; ++i) values[i] = V::from_signed(raw[i]);
  }
};

template <class V>
inline void expand_iq4(const typename V::Int* raw, typename V::Int* values) {
  expand_nibbles<V>(raw, values);
  const typename V::Int levels = V::table(kIq4Levels);
  for (int i = 0; i < kVectors; ++i) values[i] = V::from_signed(V::shuffle(levels, values[i]));
}

template <class V>
struct FormatIQ4_NL : Format<BlockIQ4_NL, 1, 4, 255> {
  static constexpr bool kSigned = true;
  static void read(const Rows<V>& rows, int64_t at, typename V::Int* raw, Scales<V, 1>* s) {
    s->d[0] = V::half_low(V::first_words(rows.row, at));
    read_words<V>(rows, at + 2, 16, raw);
  }
  template <int>
  static void expand(const typename V::Int* raw, typename V::Int* values) {
    expand_iq4<V>(raw, values);
  }
};

template <class V>
struct FormatMXFP4 : Format<BlockMXFP4, 1, 4, 24> {
  static constexpr int kOffset = 12;  // more than the doubled values
  static void read(const Rows<V>& rows, int64_t at, typename V::Int* raw, Scales<V, 1>* s) {
    // 2^(exponent - 128) as a product of two powers that are no subnormals.
    const typename V::Int e = V::bit_and(V::first_words(rows.row, at), V::dwords(255));
    const typename V::Int half = V::template shift_right_32<1>(e);
    const auto power = [](typename V::Int x) {
      return V::as_float(V::template shift_left_32<23>(V::add_32(x, V::dwords(63))));
    };
    s->d[0] = V::mul(power(half), power(V::sub(e, half)));
    read_words<V>(rows, at + 1, 16, raw);
  }
  template <int>
  static void expand(const typename V::Int* raw, typename V::Int* values) {
    expand_nibbles<V>(raw, values);
    const typename V::Int table = V::add_8(V::table(kE2m1Doubled), V::bytes(kOffset));
    for (int i = 0; i < kVectors; ++i) values[i] = V::shuffle(table, values[i]);
  }
};

// ---- Blocks of 256

template <class V, int kByte>
inline typename V::Float byte_as_float(typename V::Int word) {
  return V::to_float(V::bit_and(V::template shift_right_32<8 * kByte>(word), V::dwords(255)));
}

// Q4_K and Q5_K begin with 16 bytes: scale, minimum, and twelve bytes that hold 8 scales and 8 minima of 6 bits. The
// products with scale and minimum, of 11 and 6 bits, are exact.
template <class V>
inline void six_bit_scales(const Rows<V>& rows, int64_t at, Scales<V, 8>* s) {
  using Int = typename V::Int;
  Int w[4];
  V::transpose(rows.row, at, w);
  const typename V::Float scale = V::half_low(w[0]), minimum = V::negate(V::half_high(w[0]));
  const Int scales[2] = {bits<V, 0, 63>(w[1]), V::bit_or(bits<V, 0, 15>(w[3]), bits<V, 2, 0x30>(w[1]))};
  const Int minima[2] = {bits<V, 0, 63>(w[2]), V::bit_or(bits<V, 4, 15>(w[3]), bits<V, 2, 0x30>(w[2]))};
  const auto four = [](const Int* words, typename V::Float factor, typename V::Float* out) {
    for (int h = 0; h < 2; ++h) {
      out[4 * h + 0] = V::mul(factor, byte_as_float<V, 0>(words[h]));
      out[4 * h + 1] = V::mul(factor, byte_as_float<V, 1>(words[h]));
      out[4 * h + 2] = V::mul(factor, byte_as_float<V, 2>(words[h]));
      out[4 * h + 3] = V::mul(factor, byte_as_float<V, 3>(words[h]));
    }
  };
  four(scales, scale, s->d);
  four(minima, minimum, s->m);
}

template <class V>
struct FormatQ4_K : Format<BlockQ4_K, 8, 32, 15> {
  static constexpr bool kMin = true;
  static void read(const Rows<V>& rows, int64_t at, typename V::Int* raw, Scales<V, 8>* s) {
    six_bit_scales<V>(rows, at, s);
    read_words<V>(rows, at + static_cast<int64_t>(offsetof(BlockQ4_K, nibbles)), 128, raw);
  }
  template <int S>
  static void expand(const typename V::Int* raw, typename V::Int* values) {
    for (int i = 0; i < kVectors; ++i) values[i] = bits<V, S % 2 * 4, 15>(raw[S / 2 * 8 + i]);
  }
};

template <class V>
struct FormatQ5_K : Format<BlockQ5_K, 8, 40, 31> {
  static constexpr bool kMin = true;
  static void read(const Rows<V>& rows, int64_t at, typename V::Int* raw, Scales<V, 8>* s) {
    six_bit_scales<V>(rows, at, s);
    read_words<V>(rows, at + static_cast<int64_t>(offsetof(BlockQ5_K, high)), 160, raw);
  }
  template <int S>
  static void expand(const typename V::Int* raw, typename V::Int* values) {
    for (int i = 0; i < kVectors; ++i)
      values[i] = V::bit_or(bits<V, S % 2 * 4, 15>(raw[8 + S / 2 * 8 + i]), moved<V, S, 4, 16>(raw[i]));
  }
};

template <class V>
struct FormatIQ4_XS : Format<BlockIQ4_XS, 8, 32, 255> {
  static constexpr bool kSigned = true;
  static void read(const Rows<V>& rows, int64_t at, typename V::Int* raw, Scales<V, 8>* s) {
    using Int = typename V::Int;
    const Int head = V::first_words(rows.row, at), low = V::first_words(rows.row, at + 4);
    const typename V::Float scale = V::half_low(head);
    const auto group = [&]<int G>() {
      const Int top =
          V::template shift_left_32<4>(V::bit_and(V::template shift_right_32<16 + 2 * G>(head), V::dwords(3)));
      const Int all = V::bit_or(V::bit_and(V::template shift_right_32<4 * G>(low), V::dwords(15)), top);
      s->d[G] = V::mul(scale, V::to_float(V::sub(all, V::dwords(32))));
    };
    group.template operator()<0>(), group.template operator()<1>(), group.template operator()<2>();
    group.template operator()<3>(), group.template operator()<4>(), group.template operator()<5>();
    group.template operator()<6>(), group.template operator()<7>();
    read_words<V>(rows, at + static_cast<int64_t>(offsetof(BlockIQ4_XS, nibbles)), 128, raw);
  }
  template <int S>
  static void expand(const typename V::Int* raw, typename V::Int* values) {
    expand_iq4<V>(raw + S * 4, values);
  }
};

// Sixteen signed bytes in four words: the scales of 16 values, as pairs for each block.
template <class V>
inline void byte_pairs(const typename V::Int* words, typename V::Int* pairs) {
  for (int i = 0; i < 4; ++i) pairs[2 * i] = V::low_pair(words[i]), pairs[2 * i + 1] = V::high_pair(words[i]);
}

template <class V>
inline void same_scale(typename V::Float d, typename V::Float* all) {
  for (int i = 0; i < 8; ++i) all[i] = d;
}

template <class V>
struct FormatQ6_K : Format<BlockQ6_K, 8, 48, 63> {
  static constexpr int kOffset = 32, kGroups = 2;
  static void read(const Rows<V>& rows, int64_t at, typename V::Int* raw, Scales<V, 8>* s) {
    typename V::Int groups[4];
    read_words<V>(rows, at + static_cast<int64_t>(offsetof(BlockQ6_K, groups)), 16, groups);
    byte_pairs<V>(groups, s->pair);
    same_scale<V>(V::half_high(V::last_words(rows.row, at + static_cast<int64_t>(sizeof(BlockQ6_K)) - 16)), s->d);
    read_words<V>(rows, at, 192, raw);
  }
  template <int S>
  static void expand(const typename V::Int* raw, typename V::Int* values) {
    const typename V::Int *low = raw + S / 4 * 16 + S % 2 * 8, *high = raw + 32 + S / 4 * 8;
    for (int i = 0; i < kVectors; ++i)
      values[i] = V::bit_or(bits<V, S / 2 % 2 * 4, 15>(low[i]), moved<V, S % 4 * 2, 4, 0x30>(high[i]));
  }
};

template <class V>
struct FormatQ3_K : Format<BlockQ3_K, 8, 24, 7> {
  static constexpr int kOffset = 4, kGroups = 2;
  static void read(const Rows<V>& rows, int64_t at, typename V::Int* raw, Scales<V, 8>* s) {
    using Int = typename V::Int;
    Int w[4];
    read_words<V>(rows, at + static_cast<int64_t>(offsetof(BlockQ3_K, groups)) - 4, 16, w);
    const Int a = w[1], b = w[2], c = w[3], less = V::bytes(32);
    const Int groups[4] = {V::sub_8(V::bit_or(bits<V, 0, 15>(a), moved<V, 0, 4, 0x30>(c)), less),
                           V::sub_8(V::bit_or(bits<V, 0, 15>(b), moved<V, 2, 4, 0x30>(c)), less),
                           V::sub_8(V::bit_or(bits<V, 4, 15>(a), moved<V, 4, 4, 0x30>(c)), less),
                           V::sub_8(V::bit_or(bits<V, 4, 15>(b), moved<V, 6, 4, 0x30>(c)), less)};
    byte_pairs<V>(groups, s->pair);
    same_scale<V>(V::half_high(V::last_words(rows.row, at + static_cast<int64_t>(sizeof(BlockQ3_K)) - 16)), s->d);
    read_words<V>(rows, at, 96, raw);
  }
  template <int S>
  static void expand(const typename V::Int* raw, typename V::Int* values) {
    for (int i = 0; i < kVectors; ++i)
      values[i] = V::bit_or(bits<V, S % 4 * 2, 3>(raw[8 + S / 4 * 8 + i]), moved<V, S, 2, 4>(raw[i]));
  }
};

template <class V>
struct FormatQ2_K : Format<BlockQ2_K, 8, 16, 3> {
  static constexpr int kGroups = 2;
  static constexpr bool kMin = true;
  static void read(const Rows<V>& rows, int64_t at, typename V::Int* raw, Scales<V, 8>* s) {
    using Int = typename V::Int;
    Int w[4], scales[4], minima[4];
    read_words<V>(rows, at, 16, w);
    for (int i = 0; i < 4; ++i) scales[i] = bits<V, 0, 15>(w[i]), minima[i] = bits<V, 4, 15>(w[i]);
    byte_pairs<V>(scales, s->pair);
    byte_pairs<V>(minima, s->min_pair);
    const Int both = V::last_words(rows.row, at + static_cast<int64_t>(sizeof(BlockQ2_K)) - 16);
    same_scale<V>(V::half_low(both), s->d);
    same_scale<V>(V::negate(V::half_high(both)), s->m);
    read_words<V>(rows, at + static_cast<int64_t>(offsetof(BlockQ2_K, quants)), 64, raw);
  }
  template <int S>
  static void expand(const typename V::Int* raw, typename V::Int* values) {
    for (int i = 0; i < kVectors; ++i) values[i] = bits<V, S % 4 * 2, 3>(raw[S / 4 * 8 + i]);
  }
};

}  // namespace
}  // namespace fieldprint
