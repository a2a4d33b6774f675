// How the blocks of the quant types become words across the lanes, and the words the bytes that are multiplied, for any
// vector V. block.h lists the members of a format.
#pragma once

#include <cstddef>

#include "kernels/lanes/block.h"
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

// The constants of a format. Blocks of 32 in nibbles are one part of one chunk, which gives both halves.
template <class B, int kBlocksIn, int kPart, int kChunksIn, int kHalves, int kWords, int kMax>
struct Format {
  using Block = B;
  static constexpr int kBlocks = kBlocksIn, kPartBlocks = kPart, kChunks = kChunksIn, kChunkHalves = kHalves,
                       kRawWords = kWords, kMaxByte = kMax, kHeadWords = 0, kOffset = 0, kGroups = 1;
  static constexpr bool kSigned = false, kHasMin = false;
  static constexpr int half(int chunk, int y) { return kPart == 1 ? chunk + y : 2 * y + chunk; }
};

template <class V>
struct NoHead {
  static void head(const Rows<V>&, int64_t, typename V::Int*) {}
  static void next_part(typename V::Int*) {}
};

// The bits that begin at `kFrom` of every byte, moved to `kTo`, under kMask.
template <class V, int kFrom, int kTo, int kMask>
inline typename V::Int moved(typename V::Int x) {
  if constexpr (kFrom <= kTo) return V::bit_and(V::template shift_left_16<kTo - kFrom>(x), V::splat_8(kMask));
  else return V::bit_and(V::template shift_right_16<kFrom - kTo>(x), V::splat_8(kMask));
}
template <class V, int kFrom, int kMask>
inline typename V::Int bits(typename V::Int x) {
  return moved<V, kFrom, 0, kMask>(x);
}

// ---- Blocks of 32: value i of a nibble block in the low half of byte i, value i + 16 in the high half

template <class B, class V, int kMax = 15, int kWords = 4>
struct Nibbles : Format<B, 1, 1, 1, 2, kWords, kMax>, NoHead<V> {
  template <int>
  static void read(const Rows<V>& rows, int64_t at, int, typename V::Int* raw) {
    read16<V>(rows, at + static_cast<int64_t>(offsetof(B, nibbles)), raw);
  }
  template <int, int Y, int I>
  static typename V::Int word(const typename V::Int* raw, const typename V::Int*) {
    return bits<V, 4 * Y, 15>(raw[I]);
  }
  static void scales(const Rows<V>& rows, int64_t at, const Scales<V>& s) {
    s.d[0] = V::f16_low(V::load_first_words(rows.base + at, rows.stride));
  }
};

template <class V>
inline void scale_and_minimum(const Rows<V>& rows, int64_t at, const Scales<V>& s) {
  const typename V::Int both = V::load_first_words(rows.base + at, rows.stride);
  s.d[0] = V::f16_low(both), s.m[0] = V::f16_high(both);
}

template <class V>
struct FormatQ4_0 : Nibbles<BlockQ4_0, V> {
  static constexpr int kOffset = 8;
};

template <class V>
struct FormatQ4_1 : Nibbles<BlockQ4_1, V> {
  static constexpr bool kHasMin = true;
  static void scales(const Rows<V>& rows, int64_t at, const Scales<V>& s) { scale_and_minimum<V>(rows, at, s); }
};

// A fifth bit: value i in bit i of four bytes.
template <class B, class V>
struct FiveBits : Nibbles<B, V, 31, 5> {
  template <int C>
  static void read(const Rows<V>& rows, int64_t at, int part, typename V::Int* raw) {
    Nibbles<B, V, 31, 5>::template read<C>(rows, at, part, raw);
    raw[4] = V::load_first_words(rows.base + at + static_cast<int64_t>(offsetof(B, high)), rows.stride);
  }
  template <int, int Y, int I>
  static typename V::Int word(const typename V::Int* raw, const typename V::Int*) {
    const typename V::Int ones = V::splat_32(static_cast<int>(I % 2 == 0 ? 0x08040201 : 0x80402010));
    const typename V::Int byte = V::shuffle_bytes(raw[4], V::ramp_32(0x01010101 * (2 * Y + I / 2), 0x04040404));
    const typename V::Int bit = V::min_u8(V::bit_and(byte, ones), V::splat_8(1));
    return V::bit_or(bits<V, 4 * Y, 15>(raw[I]), V::template shift_left_16<4>(bit));
  }
};

template <class V>
struct FormatQ5_0 : FiveBits<BlockQ5_0, V> {
  static constexpr int kOffset = 16;
};

template <class V>
struct FormatQ5_1 : FiveBits<BlockQ5_1, V> {
  static constexpr bool kHasMin = true;
  static void scales(const Rows<V>& rows, int64_t at, const Scales<V>& s) { scale_and_minimum<V>(rows, at, s); }
};

template <class V>
struct FormatQ8_0 : Format<BlockQ8_0, 1, 1, 2, 1, 4, 255>, NoHead<V> {
  static constexpr bool kSigned = true;
  static void scales(const Rows<V>& rows, int64_t at, const Scales<V>& s) {
    s.d[0] = V::f16_low(V::load_first_words(rows.base + at, rows.stride));
  }
  template <int C>
  static void read(const Rows<V>& rows, int64_t at, int, typename V::Int* raw) {
    read16<V>(rows, at + static_cast<int64_t>(offsetof(BlockQ8_0, quants)) + 16 * C, raw);
  }
  template <int, int, int I>
  static typename V::Int word(const typename V::Int* raw, const typename V::Int*) {
    return V::from_signed(raw[I]);
  }
};

template <class V, int Y>
inline typename V::Int iq4_levels(typename V::Int raw) {
  return V::from_signed(V::shuffle_bytes(V::byte_table(kIq4Levels), bits<V, 4 * Y, 15>(raw)));
}

template <class V>
struct FormatIQ4_NL : Nibbles<BlockIQ4_NL, V, 255> {
  static constexpr bool kSigned = true;
  template <int, int Y, int I>
  static typename V::Int word(const typename V::Int* raw, const typename V::Int*) {
    return iq4_levels<V, Y>(raw[I]);
  }
};

template <class V>
struct FormatMXFP4 : Nibbles<BlockMXFP4, V, 24> {
  static constexpr int kOffset = 12;  // more than the doubled values
  static void scales(const Rows<V>& rows, int64_t at, const Scales<V>& s) {
    // 2^(exponent - 128) as a product of two powers that are no subnormals.
    const typename V::Int e = V::bit_and(V::load_first_words(rows.base + at, rows.stride), V::splat_32(255));
    const typename V::Int half = V::template shift_right_32<1>(e);
    const auto power = [](typename V::Int x) {
      return V::float_of_bits(V::template shift_left_32<23>(V::add_32(x, V::splat_32(63))));
    };
    s.d[0] = V::mul(power(half), power(V::sub_32(e, half)));
  }
  template <int, int Y, int I>
  static typename V::Int word(const typename V::Int* raw, const typename V::Int*) {
    return V::shuffle_bytes(V::add_8(V::byte_table(kE2m1Doubled), V::splat_8(kOffset)), bits<V, 4 * Y, 15>(raw[I]));
  }
};

// ---- Blocks of 256

// Q4_K and Q5_K begin with 16 bytes: scale, minimum, and twelve bytes that hold 8 scales and 8 minima of 6 bits. The
// products with scale and minimum, of 11 and 6 bits, are exact.
template <class V>
inline void six_bit_scales(const Rows<V>& rows, int64_t at, const Scales<V>& s) {
  using Int = typename V::Int;
  Int w[4];
  read16<V>(rows, at, w);
  const typename V::Float scale = V::f16_low(w[0]), minimum = V::negate(V::f16_high(w[0]));
  const Int scales[2] = {bits<V, 0, 63>(w[1]), V::bit_or(bits<V, 0, 15>(w[3]), bits<V, 2, 0x30>(w[1]))};
  const Int minima[2] = {bits<V, 0, 63>(w[2]), V::bit_or(bits<V, 4, 15>(w[3]), bits<V, 2, 0x30>(w[2]))};
  repeat<8>([&]<int I>() {
    s.d[I] = V::mul(scale, V::to_float(V::template byte<I % 4>(scales[I / 4])));
    s.m[I] = V::mul(minimum, V::to_float(V::template byte<I % 4>(minima[I / 4])));
  });
}

template <class V>
struct FormatQ4_K : Format<BlockQ4_K, 8, 2, 2, 2, 4, 15>, NoHead<V> {
  static constexpr bool kHasMin = true;
  static void scales(const Rows<V>& rows, int64_t at, const Scales<V>& s) { six_bit_scales<V>(rows, at, s); }
  template <int C>
  static void read(const Rows<V>& rows, int64_t at, int part, typename V::Int* raw) {
    read16<V>(rows, at + static_cast<int64_t>(offsetof(BlockQ4_K, nibbles)) + 32 * part + 16 * C, raw);
  }
  template <int, int Y, int I>
  static typename V::Int word(const typename V::Int* raw, const typename V::Int*) {
    return bits<V, 4 * Y, 15>(raw[I]);
  }
};

template <class V>
struct FormatQ5_K : Format<BlockQ5_K, 8, 2, 2, 2, 4, 31> {
  static constexpr int kHeadWords = 8;  // the fifth bits
  static constexpr bool kHasMin = true;
  static void head(const Rows<V>& rows, int64_t at, typename V::Int* words) {
    for (int i = 0; i < 2; ++i)
      read16<V>(rows, at + static_cast<int64_t>(offsetof(BlockQ5_K, high)) + 16 * i, words + 4 * i);
  }
  static void next_part(typename V::Int* words) {
    for (int i = 0; i < kHeadWords; ++i) words[i] = V::template shift_right_16<2>(words[i]);
  }
  static void scales(const Rows<V>& rows, int64_t at, const Scales<V>& s) { six_bit_scales<V>(rows, at, s); }
  template <int C>
  static void read(const Rows<V>& rows, int64_t at, int part, typename V::Int* raw) {
    read16<V>(rows, at + static_cast<int64_t>(offsetof(BlockQ5_K, nibbles)) + 32 * part + 16 * C, raw);
  }
  template <int C, int Y, int I>
  static typename V::Int word(const typename V::Int* raw, const typename V::Int* head) {
    return V::bit_or(bits<V, 4 * Y, 15>(raw[I]), moved<V, Y, 4, 16>(head[4 * C + I]));
  }
};

template <class V>
struct FormatIQ4_XS : Format<BlockIQ4_XS, 8, 1, 1, 2, 4, 255>, NoHead<V> {
  static constexpr bool kSigned = true;
  static void scales(const Rows<V>& rows, int64_t at, const Scales<V>& s) {
    using Int = typename V::Int;
    const Int head = V::load_first_words(rows.base + at, rows.stride);
    const Int low =
        V::load_first_words(rows.base + at + static_cast<int64_t>(offsetof(BlockIQ4_XS, groups_low)), rows.stride);
    const typename V::Float scale = V::f16_low(head);
    repeat<8>([&]<int I>() {
      const Int top = V::bit_and(V::template shift_right_32<16 + 2 * I>(head), V::splat_32(3));
      const Int all = V::bit_or(V::bit_and(V::template shift_right_32<4 * I>(low), V::splat_32(15)),
                                V::template shift_left_32<4>(top));
      s.d[I] = V::mul(scale, V::to_float(V::sub_32(all, V::splat_32(32))));
    });
  }
  template <int>
  static void read(const Rows<V>& rows, int64_t at, int part, typename V::Int* raw) {
    read16<V>(rows, at + static_cast<int64_t>(offsetof(BlockIQ4_XS, nibbles)) + 16 * part, raw);
  }
  template <int, int Y, int I>
  static typename V::Int word(const typename V::Int* raw, const typename V::Int*) {
    return iq4_levels<V, Y>(raw[I]);
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

// The last four bytes of a Block.
template <class B, class V>
inline typename V::Int last_words(const Rows<V>& rows, int64_t at) {
  return V::load_last_words(rows.base + at + static_cast<int64_t>(sizeof(B)) - 16, rows.stride);
}

template <class V>
struct FormatQ6_K : Format<BlockQ6_K, 8, 4, 4, 2, 8, 63>, NoHead<V> {
  static constexpr int kOffset = 32, kGroups = 2;
  // Chunk C: column C / 2 of the four low bits' first or second 32 bytes; the upper two bits stay for both.
  static constexpr int half(int chunk, int y) { return 4 * y + chunk % 2 * 2 + chunk / 2; }
  static void scales(const Rows<V>& rows, int64_t at, const Scales<V>& s) {
    typename V::Int groups[4];
    read16<V>(rows, at + static_cast<int64_t>(offsetof(BlockQ6_K, groups)), groups);
    byte_pairs<V>(groups, s.pair);
    same_scale<V>(V::f16_high(last_words<BlockQ6_K, V>(rows, at)), s.d);
  }
  template <int C>
  static void read(const Rows<V>& rows, int64_t at, int part, typename V::Int* raw) {
    if constexpr (C % 2 == 0)
      read16<V>(rows, at + static_cast<int64_t>(offsetof(BlockQ6_K, high)) + 32 * part + 8 * C, raw + 4);
    read16<V>(rows, at + 64 * part + C / 2 * 16 + C % 2 * 32, raw);
  }
  template <int C, int Y, int I>
  static typename V::Int word(const typename V::Int* raw, const typename V::Int*) {
    return V::bit_or(bits<V, Y * 4, 15>(raw[I]), moved<V, 4 * Y + C % 2 * 2, 4, 0x30>(raw[4 + I]));
  }
};

template <class V>
struct FormatQ3_K : Format<BlockQ3_K, 8, 4, 2, 4, 4, 7> {
  static constexpr int kOffset = 4, kGroups = 2, kHeadWords = 8;  // the third bits
  static void head(const Rows<V>& rows, int64_t at, typename V::Int* words) {
    for (int i = 0; i < 2; ++i) read16<V>(rows, at + 16 * i, words + 4 * i);
  }
  static void next_part(typename V::Int* words) {
    for (int i = 0; i < kHeadWords; ++i) words[i] = V::template shift_right_16<4>(words[i]);
  }
  static void scales(const Rows<V>& rows, int64_t at, const Scales<V>& s) {
    using Int = typename V::Int;
    Int w[4];
    read16<V>(rows, at + static_cast<int64_t>(offsetof(BlockQ3_K, groups)) - 4, w);
    const Int a = w[1], b = w[2], c = w[3], less = V::splat_8(32);
    const Int groups[4] = {V::sub_8(V::bit_or(bits<V, 0, 15>(a), moved<V, 0, 4, 0x30>(c)), less),
                           V::sub_8(V::bit_or(bits<V, 0, 15>(b), moved<V, 2, 4, 0x30>(c)), less),
                           V::sub_8(V::bit_or(bits<V, 4, 15>(a), moved<V, 4, 4, 0x30>(c)), less),
                           V::sub_8(V::bit_or(bits<V, 4, 15>(b), moved<V, 6, 4, 0x30>(c)), less)};
    byte_pairs<V>(groups, s.pair);
    same_scale<V>(V::f16_high(last_words<BlockQ3_K, V>(rows, at)), s.d);
  }
  template <int C>
  static void read(const Rows<V>& rows, int64_t at, int part, typename V::Int* raw) {
    read16<V>(rows, at + static_cast<int64_t>(offsetof(BlockQ3_K, quants)) + 32 * part + 16 * C, raw);
  }
  template <int C, int Y, int I>
  static typename V::Int word(const typename V::Int* raw, const typename V::Int* head) {
    return V::bit_or(bits<V, 2 * Y, 3>(raw[I]), moved<V, Y, 2, 4>(head[4 * C + I]));
  }
};

template <class V>
struct FormatQ2_K : Format<BlockQ2_K, 8, 4, 2, 4, 4, 3>, NoHead<V> {
  static constexpr int kGroups = 2;
  static constexpr bool kHasMin = true;
  static void scales(const Rows<V>& rows, int64_t at, const Scales<V>& s) {
    using Int = typename V::Int;
    Int w[4], scales[4], minima[4];
    read16<V>(rows, at, w);
    for (int i = 0; i < 4; ++i) scales[i] = bits<V, 0, 15>(w[i]), minima[i] = bits<V, 4, 15>(w[i]);
    byte_pairs<V>(scales, s.pair);
    byte_pairs<V>(minima, s.min_pair);
    const Int both = last_words<BlockQ2_K, V>(rows, at);
    same_scale<V>(V::f16_low(both), s.d);
    same_scale<V>(V::negate(V::f16_high(both)), s.m);
  }
  template <int C>
  static void read(const Rows<V>& rows, int64_t at, int part, typename V::Int* raw) {
    read16<V>(rows, at + static_cast<int64_t>(offsetof(BlockQ2_K, quants)) + 32 * part + 16 * C, raw);
  }
  template <int, int Y, int I>
  static typename V::Int word(const typename V::Int* raw, const typename V::Int*) {
    return bits<V, 2 * Y, 3>(raw[I]);
  }
};

}  // namespace
}  // namespace fieldprint
