// How the blocks of the codebook types (IQ1 to IQ3) and of ternary digits (TQ) become the bytes that are multiplied,
// for any vector V: formats as in formats.h. The numbers in a weight row are indices of codebook rows of eight or four
// bytes. These are looked up one by one and laid across the lanes; signs and shifts then follow for all lanes at once.
#pragma once

#include "kernels/lanes/formats.h"
#include "quant/codebook.h"
#include "quant/iq1_m.h"
#include "quant/iq1_s.h"
#include "quant/iq2_s.h"
#include "quant/iq2_xs.h"
#include "quant/iq2_xxs.h"
#include "quant/iq3_s.h"
#include "quant/iq3_xxs.h"
#include "quant/tq1_0.h"
#include "quant/tq2_0.h"

namespace fieldprint {
namespace {

// A chunk is a block of 32: the codebook's bytes in 8 words, then one of signs. kScaled: Scales::pair is used.
template <class B, class V, int kPart, int kScaled>
struct CodebookFormat : Format<B, 8, kPart, kPart, 2, 9, 255>, NoHead<V> {
  static constexpr bool kSigned = true;
  static constexpr int kGroups = kScaled;
  static constexpr int half(int chunk, int y) { return 2 * chunk + y; }
};

// 32 bytes for every lane from a codebook whose rows have kWidth bytes; number(k) is the index of a lane's k-th row.
// Indices are computed for all lanes at once, and then looked up one by one.
template <int kWidth, class V, class Number>
inline void look_up(const void* book, Number&& number, typename V::Int* words) {
  constexpr int kCount = 32 / kWidth;
  alignas(64) uint32_t rows[kCount][V::kLanes];
  repeat<kCount>([&]<int K>() {
    const typename V::Int numbers = number.template operator()<K>();
    __builtin_memcpy(rows[K], &numbers, sizeof numbers);
  });
  const auto* bytes = static_cast<const uint8_t*>(book);
  repeat<2>([&]<int H>() {
    V::transpose_rows(
        [&](int r, int j) {
          if constexpr (kWidth == 8) {
            uint64_t eight;
            __builtin_memcpy(&eight, bytes + uint64_t{rows[2 * H + j][r]} * 8, 8);
            return eight;
          } else {
            uint32_t low, high;
            __builtin_memcpy(&low, bytes + uint64_t{rows[4 * H + 2 * j][r]} * 4, 4);
            __builtin_memcpy(&high, bytes + uint64_t{rows[4 * H + 2 * j + 1][r]} * 4, 4);
            return low | uint64_t{high} << 32;
          }
        },
        words + 4 * H);
  });
}

// The bits that begin at `kFrom` of every lane, moved to `kTo`, under kMask.
template <class V, int kFrom, int kTo, int kMask>
inline typename V::Int field(typename V::Int x) {
  if constexpr (kFrom <= kTo) return V::bit_and(V::template shift_left_32<kTo - kFrom>(x), V::splat_32(kMask));
  else return V::bit_and(V::template shift_right_32<kFrom - kTo>(x), V::splat_32(kMask));
}

// Every lane's four bytes of 7 bits, with the eighth that makes the number of ones even.
template <class V>
inline typename V::Int even_bytes(typename V::Int seven) {
  static constexpr int8_t kOdd[16] = {0, -128, -128, 0, -128, 0, 0, -128, -128, 0, 0, -128, 0, -128, -128, 0};
  const typename V::Int table = V::byte_table(kOdd);
  const typename V::Int low = V::shuffle_bytes(table, bits<V, 0, 15>(seven)),
                        high = V::shuffle_bytes(table, bits<V, 4, 7>(seven));
  return V::bit_or(seven, V::bit_xor(low, high));
}

// The same from four times 7 bits without gaps.
template <class V>
inline typename V::Int even_bytes_of_28(typename V::Int x) {
  return even_bytes<V>(V::bit_or(V::bit_or(field<V, 0, 0, 0x7f>(x), field<V, 7, 8, 0x7f << 8>(x)),
                                 V::bit_or(field<V, 14, 16, 0x7f << 16>(x), field<V, 21, 24, 0x7f << 24>(x))));
}

// Word I of half Y of a block with the signs in raw[8]: bit i of a lane is the sign of its value i.
template <class V, int Y, int I>
inline typename V::Int signed_word(const typename V::Int* raw) {
  const typename V::Int ones = V::splat_32(static_cast<int>(I % 2 == 0 ? 0x08040201 : 0x80402010));
  const typename V::Int byte = V::shuffle_bytes(raw[8], V::ramp_32(0x01010101 * (2 * Y + I / 2), 0x04040404));
  return V::from_signed(V::negate_bytes_where(raw[4 * Y + I], byte, ones));
}

// 2 * s + 1 for the two groups of a block, whose s are of kBits from bit kFrom of every lane on.
template <class V, int kFrom, int kBits>
inline typename V::Int odd_pair(typename V::Int x) {
  constexpr int kMask = (1 << kBits) - 1;
  const typename V::Int both = V::bit_or(field<V, kFrom, 0, kMask>(x), field<V, kFrom + kBits, 16, kMask << 16>(x));
  return V::add_32(V::template shift_left_32<1>(both), V::splat_32(0x00010001));
}

// scale * (2 * s + 1), s of kBits from bit kFrom of every lane on; exact.
template <class V, int kFrom, int kBits>
inline typename V::Float odd_scale(typename V::Float scale, typename V::Int x) {
  const typename V::Int s = field<V, kFrom, 1, ((1 << kBits) - 1) << 1>(x);
  return V::mul(scale, V::to_float(V::add_32(s, V::splat_32(1))));
}

template <class V>
inline typename V::Float first_half(const Rows<V>& rows, int64_t at, float factor) {
  return V::mul(V::f16_low(V::load_first_words(rows.base + at, rows.stride)), V::splat_float(factor));
}

// The four bytes of every row that end at `end`: the end of a Block has no 16 bytes behind it.
template <class V>
inline typename V::Int words_before(const Rows<V>& rows, int64_t end) {
  return V::load_last_words(rows.base + end - 16, rows.stride);
}

// ---- Rows of 8 magnitudes with signs

template <class V>
struct FormatIQ2_XXS : CodebookFormat<BlockIQ2_XXS, V, 2, 1> {
  static void scales(const Rows<V>& rows, int64_t at, const Scales<V>& s) {
    const typename V::Float scale = first_half<V>(rows, at, 0.125f);
    repeat<4>([&]<int I>() {
      typename V::Int w[4];
      read16<V>(rows, at + 2 + 16 * I, w);
      s.d[2 * I] = odd_scale<V, 28, 4>(scale, w[1]), s.d[2 * I + 1] = odd_scale<V, 28, 4>(scale, w[3]);
    });
  }
  template <int C>
  static void read(const Rows<V>& rows, int64_t at, int part, typename V::Int* raw) {
    typename V::Int w[4];
    read16<V>(rows, at + 2 + 16 * part, w);
    look_up<8, V>(
        &kIq2XxsBook, [&]<int K>() { return V::template byte<K>(w[2 * C]); }, raw);
    raw[8] = even_bytes_of_28<V>(w[2 * C + 1]);
  }
  template <int, int Y, int I>
  static typename V::Int word(const typename V::Int* raw, const typename V::Int*) {
    return signed_word<V, Y, I>(raw);
  }
};

// IQ2_XS and IQ2_S end with 4 bits of scale for every 16 values.
template <class B, class V>
inline void nibble_pairs(const Rows<V>& rows, int64_t at, const Scales<V>& s) {
  typename V::Int w[4];
  read16<V>(rows, at + static_cast<int64_t>(sizeof(B)) - 16, w);
  repeat<8>([&]<int I>() { s.pair[I] = odd_pair<V, I % 4 * 8, 4>(w[2 + I / 4]); });
  same_scale<V>(first_half<V>(rows, at, 0.125f), s.d);
}

template <class V>
struct FormatIQ2_XS : CodebookFormat<BlockIQ2_XS, V, 2, 2> {
  static void scales(const Rows<V>& rows, int64_t at, const Scales<V>& s) { nibble_pairs<BlockIQ2_XS, V>(rows, at, s); }
  template <int C>
  static void read(const Rows<V>& rows, int64_t at, int part, typename V::Int* raw) {
    typename V::Int w[4];
    read16<V>(rows, at + 2 + 16 * part, w);
    const typename V::Int a = w[2 * C], b = w[2 * C + 1];
    look_up<8, V>(
        &kIq2XsBook, [&]<int K>() { return field<V, K % 2 * 16, 0, 511>(K < 2 ? a : b); }, raw);
    raw[8] = even_bytes<V>(V::bit_or(V::bit_or(field<V, 9, 0, 0x7f>(a), field<V, 25, 8, 0x7f << 8>(a)),
                                     V::bit_or(field<V, 9, 16, 0x7f << 16>(b), field<V, 25, 24, 0x7f << 24>(b))));
  }
  template <int, int Y, int I>
  static typename V::Int word(const typename V::Int* raw, const typename V::Int*) {
    return signed_word<V, Y, I>(raw);
  }
};

template <class V>
struct FormatIQ2_S : CodebookFormat<BlockIQ2_S, V, 1, 2> {
  static constexpr auto kSigns = static_cast<int64_t>(offsetof(BlockIQ2_S, signs));
  static constexpr auto kHigh = static_cast<int64_t>(offsetof(BlockIQ2_S, rows_high));
  static void scales(const Rows<V>& rows, int64_t at, const Scales<V>& s) { nibble_pairs<BlockIQ2_S, V>(rows, at, s); }
  template <int>
  static void read(const Rows<V>& rows, int64_t at, int part, typename V::Int* raw) {
    const typename V::Int low = V::load_first_words(rows.base + at + 2 + 4 * part, rows.stride);
    const typename V::Int high = words_before<V>(rows, at + kHigh + part + 1);
    const auto number = [&]<int K>() {
      return V::bit_or(V::template byte<K>(low), field<V, 24 + 2 * K, 8, 0x300>(high));
    };
    look_up<8, V>(&kIq2SBook, number, raw);
    raw[8] = V::load_first_words(rows.base + at + kSigns + 4 * part, rows.stride);
  }
  template <int, int Y, int I>
  static typename V::Int word(const typename V::Int* raw, const typename V::Int*) {
    return signed_word<V, Y, I>(raw);
  }
};

// ---- Rows of 4 magnitudes with signs

template <class V>
struct FormatIQ3_XXS : CodebookFormat<BlockIQ3_XXS, V, 1, 1> {
  static constexpr auto kSigns = static_cast<int64_t>(offsetof(BlockIQ3_XXS, signs));
  static void scales(const Rows<V>& rows, int64_t at, const Scales<V>& s) {
    const typename V::Float scale = first_half<V>(rows, at, 0.25f);
    typename V::Int w[8];
    for (int i = 0; i < 2; ++i) read16<V>(rows, at + kSigns + 16 * i, w + 4 * i);
    for (int i = 0; i < 8; ++i) s.d[i] = odd_scale<V, 28, 4>(scale, w[i]);
  }
  template <int>
  static void read(const Rows<V>& rows, int64_t at, int part, typename V::Int* raw) {
    typename V::Int w[4];
    read16<V>(rows, at + 2 + 8 * part, w);
    look_up<4, V>(
        &kIq3XxsBook, [&]<int K>() { return V::template byte<K % 4>(w[K / 4]); }, raw);
    raw[8] = even_bytes_of_28<V>(words_before<V>(rows, at + kSigns + 4 * part + 4));
  }
  template <int, int Y, int I>
  static typename V::Int word(const typename V::Int* raw, const typename V::Int*) {
    return signed_word<V, Y, I>(raw);
  }
};

template <class V>
struct FormatIQ3_S : CodebookFormat<BlockIQ3_S, V, 1, 1> {
  static constexpr auto kSigns = static_cast<int64_t>(offsetof(BlockIQ3_S, signs));
  static constexpr auto kHigh = static_cast<int64_t>(offsetof(BlockIQ3_S, rows_high));
  static void scales(const Rows<V>& rows, int64_t at, const Scales<V>& s) {
    const typename V::Float scale = first_half<V>(rows, at, 1.0f);
    const typename V::Int groups = last_words<BlockIQ3_S, V>(rows, at);
    repeat<8>([&]<int I>() { s.d[I] = odd_scale<V, 4 * I, 4>(scale, groups); });
  }
  template <int>
  static void read(const Rows<V>& rows, int64_t at, int part, typename V::Int* raw) {
    typename V::Int w[4];
    read16<V>(rows, at + 2 + 8 * part, w);
    const typename V::Int high = words_before<V>(rows, at + kHigh + part + 1);
    const auto number = [&]<int K>() {
      return V::bit_or(V::template byte<K % 4>(w[K / 4]), field<V, 24 + K, 8, 0x100>(high));
    };
    look_up<4, V>(&kIq3SBook, number, raw);
    raw[8] = words_before<V>(rows, at + kSigns + 4 * part + 4);
  }
  template <int, int Y, int I>
  static typename V::Int word(const typename V::Int* raw, const typename V::Int*) {
    return signed_word<V, Y, I>(raw);
  }
};

// ---- Rows of 8 from -1, 0, 1, and a delta of an eighth: 8 * row + 1 or 8 * row - 1

// Word I of half Y of a block, minus where the byte of raw[8] that belongs to the word's row has the bit of `one`.
template <class V, int Y, int I>
inline typename V::Int shifted_word(const typename V::Int* raw, int one) {
  const typename V::Int byte = V::shuffle_bytes(raw[8], V::ramp_32(0x01010101 * (2 * Y + I / 2), 0x04040404));
  const typename V::Int delta = V::negate_bytes_where(V::splat_8(1), byte, V::splat_8(one));
  return V::from_signed(V::add_8(moved<V, 0, 3, 0xf8>(raw[4 * Y + I]), delta));
}

template <class V>
struct FormatIQ1_S : CodebookFormat<BlockIQ1_S, V, 1, 1> {
  static constexpr auto kGroupsAt = static_cast<int64_t>(offsetof(BlockIQ1_S, groups));
  static void scales(const Rows<V>& rows, int64_t at, const Scales<V>& s) {
    const typename V::Float scale = first_half<V>(rows, at, 0.125f);
    typename V::Int w[4];
    read16<V>(rows, at + kGroupsAt, w);
    repeat<8>([&]<int I>() { s.d[I] = odd_scale<V, 12 + I % 2 * 16, 3>(scale, w[I / 2]); });
  }
  template <int>
  static void read(const Rows<V>& rows, int64_t at, int part, typename V::Int* raw) {
    const typename V::Int low = V::load_first_words(rows.base + at + 2 + 4 * part, rows.stride);
    const typename V::Int group = words_before<V>(rows, at + kGroupsAt + 2 * part + 2);
    const auto number = [&]<int K>() {
      return V::bit_or(V::template byte<K>(low), field<V, 16 + 3 * K, 8, 0x700>(group));
    };
    look_up<8, V>(&kIq1Book, number, raw);
    raw[8] = V::shuffle_bytes(group, V::ramp_32(0x03030303, 0x04040404));  // its last bit, for all rows of the codebook
  }
  template <int, int Y, int I>
  static typename V::Int word(const typename V::Int* raw, const typename V::Int*) {
    return shifted_word<V, Y, I>(raw, 0x80);
  }
};

template <class V>
struct FormatIQ1_M : CodebookFormat<BlockIQ1_M, V, 1, 2> {
  static constexpr auto kHigh = static_cast<int64_t>(offsetof(BlockIQ1_M, rows_high));
  static void scales(const Rows<V>& rows, int64_t at, const Scales<V>& s) {
    typename V::Int w[4];
    read16<V>(rows, at + static_cast<int64_t>(sizeof(BlockIQ1_M)) - 16, w);
    repeat<8>([&]<int I>() { s.pair[I] = odd_pair<V, I / 2 % 2 * 16 + I % 2 * 6, 3>(w[2 + I / 4]); });
    const typename V::Int low = V::bit_or(field<V, 12, 0, 0xf>(w[2]), field<V, 28, 4, 0xf0>(w[2])),
                          high = V::bit_or(field<V, 12, 8, 0xf00>(w[3]), field<V, 28, 12, 0xf000>(w[3]));
    same_scale<V>(V::mul(V::f16_low(V::bit_or(low, high)), V::splat_float(0.125f)), s.d);
  }
  template <int>
  static void read(const Rows<V>& rows, int64_t at, int part, typename V::Int* raw) {
    const typename V::Int low = V::load_first_words(rows.base + at + 4 * part, rows.stride);
    const typename V::Int high = words_before<V>(rows, at + kHigh + 2 * part + 2);
    const auto number = [&]<int K>() {
      return V::bit_or(V::template byte<K>(low), field<V, 16 + 4 * K, 8, 0x700>(high));
    };
    look_up<8, V>(&kIq1Book, number, raw);
    raw[8] =
        V::shuffle_bytes(high, V::ramp_32(0x03030202, 0x04040404));  // a nibble's byte for each row of the codebook
  }
  template <int, int Y, int I>
  static typename V::Int word(const typename V::Int* raw, const typename V::Int*) {
    return shifted_word<V, Y, I>(raw, I < 2 ? 0x08 : 0x80);
  }
};

// ---- Ternary digits: bytes 0, 1, 2, and 1 is taken off

template <class V>
struct FormatTQ2_0 : Format<BlockTQ2_0, 8, 4, 2, 4, 4, 3>, NoHead<V> {
  static constexpr int kOffset = 1;
  static void scales(const Rows<V>& rows, int64_t at, const Scales<V>& s) {
    same_scale<V>(V::f16_high(last_words<BlockTQ2_0, V>(rows, at)), s.d);
  }
  template <int C>
  static void read(const Rows<V>& rows, int64_t at, int part, typename V::Int* raw) {
    read16<V>(rows, at + 32 * part + 16 * C, raw);
  }
  template <int, int Y, int I>
  static typename V::Int word(const typename V::Int* raw, const typename V::Int*) {
    return bits<V, 2 * Y, 3>(raw[I]);
  }
};

// One part, whose chunk C gives a half of blocks 0 .. 4 each, digits 0 .. 2 (C = 0) or 3, 4 of the 16 bytes that
// follow, and at last the digits of the four.
template <class V>
struct FormatTQ1_0 : Format<BlockTQ1_0, 8, 8, 2, 8, 9, 2>, NoHead<V> {
  static constexpr int kOffset = 1;
  static constexpr int half(int chunk, int y) { return y < 5 ? 2 * y + chunk : 5 + 3 * chunk + y; }
  static void scales(const Rows<V>& rows, int64_t at, const Scales<V>& s) {
    same_scale<V>(V::f16_high(last_words<BlockTQ1_0, V>(rows, at)), s.d);
  }
  template <int C>
  static void read(const Rows<V>& rows, int64_t at, int, typename V::Int* raw) {
    read16<V>(rows, at + 16 * C, raw);
    read16<V>(rows, at + 32, raw + 4);
    raw[8] = words_before<V>(rows, at + static_cast<int64_t>(offsetof(BlockTQ1_0, fours)) + 4);
  }
  template <int C, int Y, int I>
  static typename V::Int word(const typename V::Int* raw, const typename V::Int*) {
    if constexpr (half(C, Y) == 15) return digit<I>(raw[8]);
    else if constexpr (Y < 5) return digit<Y>(raw[I]);
    else return digit<3 * C + Y - 5>(raw[4 + I]);
  }

 private:
  // Digit K of every byte: the integer part of 3 times the fraction of 3^K * byte / 256.
  template <int K>
  static typename V::Int digit(typename V::Int byte) {
    for (int i = 0; i < K; ++i) byte = V::add_8(byte, V::add_8(byte, byte));
    return V::add_8(V::min_u8(V::saturating_sub_u8(byte, V::splat_8(85)), V::splat_8(1)),
                    V::min_u8(V::saturating_sub_u8(byte, V::splat_8(170)), V::splat_8(1)));
  }
};

}  // namespace
}  // namespace fieldprint
