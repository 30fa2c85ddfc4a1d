// The kernels of int8_gemm.hpp, for 8 lanes of 32 bits. Included by one file per instruction set, which defines the
// namespace ISA and the dot product of 4 bytes per lane:
//   dot(sum, w, x): sum + w . x per lane, w unsigned with at most 6 bits, x signed
//   dot_signed(sum, w, x): the same for signed w, plus signed_bias times the sum of x
//
// Each kernel walks down a panel, one block of 8 rows at a time. A weight vector holds 4 columns of 8 rows; the same 4
// columns of an activation row are broadcast to all lanes. Sums of products are exact in int32; they meet their scales
// as floats once per 32 columns (16 for Q6_K). Up to R activation rows share each decoded weight vector.
#include <immintrin.h>

#include <cstring>

#include "../common/formats.h"
#include "int8_gemm.hpp"

namespace talaria::cpu::ISA {

namespace {

inline __m256i load(const uint8_t* at) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at)); }

// With one row of activations the memory takes the time, and the processor's own prefetching ends with each 4 KiB page. 2
// KiB ahead gave 10 to 20 % on a Zen 4 server; several rows share what is in the cache already.
template <int R>
inline void fetch_ahead(const uint8_t* block, int64_t bytes) {
  constexpr int64_t ahead = 2048;
  if (R > 1) return;
  for (int64_t at = 0; at < bytes; at += 64) _mm_prefetch(reinterpret_cast<const char*>(block + ahead + at), _MM_HINT_T0);
}

inline __m256i broadcast4(const int8_t* at) {
  int32_t four;
  std::memcpy(&four, at, 4);
  return _mm256_set1_epi32(four);
}

// 8 halves.
inline __m256 halves(const uint8_t* at) { return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(at))); }

inline __m256 unsigned_bytes(uint64_t eight) {
  return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_cvtsi64_si128(static_cast<long long>(eight))));
}

inline __m256 signed_bytes(const uint8_t* at) {
  return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(at))));
}

inline __m256i low_bits(__m256i v, int shift, int mask) {
  return _mm256_and_si256(_mm256_srli_epi16(v, shift), _mm256_set1_epi8(static_cast<char>(mask)));
}

// Where the rows of one product lie, and their sums so far.
template <int R>
struct Rows {
  const int8_t* q[R];
  const float* scale[R];
  const float* sum16[R];
  __m256 sum[R];

  Rows(const Int8Rows& x, int64_t first) {
    for (int r = 0; r < R; r++) {
      q[r] = x.q + (first + r) * x.columns;
      scale[r] = x.scale + (first + r) * (x.columns / 32);
      sum16[r] = x.sum16 + (first + r) * (x.columns / 16);
      sum[r] = _mm256_setzero_ps();
    }
  }

  // scale * sum of the 32 quants of a block
  __m256 sum32(int r, int64_t block) const { return _mm256_set1_ps(sum16[r][2 * block] + sum16[r][2 * block + 1]); }

  void store(float* y, int64_t stride) const {
    for (int r = 0; r < R; r++) _mm256_storeu_ps(y + r * stride, sum[r]);
  }
};

template <int R>
void q8_0(const uint8_t* panel, const Int8Rows& x, int64_t first, float* y, int64_t stride) {
  Rows<R> rows(x, first);
  for (int64_t block = 0; block < x.columns / 32; block++, panel += 8 * sizeof(talaria_block_q8_0)) {
    fetch_ahead<R>(panel, 8 * sizeof(talaria_block_q8_0));
    __m256i dots[R];
    for (int r = 0; r < R; r++) dots[r] = _mm256_setzero_si256();
    for (int c = 0; c < 8; c++) {
      __m256i w = load(panel + 16 + 32 * c);
      for (int r = 0; r < R; r++) dots[r] = dot_signed(dots[r], w, broadcast4(rows.q[r] + block * 32 + 4 * c));
    }
    __m256 d = halves(panel);
    for (int r = 0; r < R; r++) {
      __m256 value = _mm256_mul_ps(_mm256_cvtepi32_ps(dots[r]), _mm256_set1_ps(rows.scale[r][block]));
      if (signed_bias != 0) value = _mm256_fnmadd_ps(_mm256_set1_ps(signed_bias), rows.sum32(r, block), value);
      rows.sum[r] = _mm256_fmadd_ps(d, value, rows.sum[r]);
    }
  }
  rows.store(y, stride);
}

template <int R>
void q4_0(const uint8_t* panel, const Int8Rows& x, int64_t first, float* y, int64_t stride) {
  Rows<R> rows(x, first);
  for (int64_t block = 0; block < x.columns / 32; block++, panel += 8 * sizeof(talaria_block_q4_0)) {
    fetch_ahead<R>(panel, 8 * sizeof(talaria_block_q4_0));
    __m256i dots[R];
    for (int r = 0; r < R; r++) dots[r] = _mm256_setzero_si256();
    for (int c = 0; c < 4; c++) {
      __m256i v = load(panel + 16 + 32 * c);
      __m256i low = low_bits(v, 0, 15), high = low_bits(v, 4, 15);
      for (int r = 0; r < R; r++) {
        const int8_t* q = rows.q[r] + block * 32 + 4 * c;
        dots[r] = dot(dot(dots[r], low, broadcast4(q)), high, broadcast4(q + 16));
      }
    }
    __m256 d = halves(panel);
    for (int r = 0; r < R; r++) {
      __m256 value = _mm256_mul_ps(_mm256_cvtepi32_ps(dots[r]), _mm256_set1_ps(rows.scale[r][block]));
      value = _mm256_fnmadd_ps(_mm256_set1_ps(8.0f), rows.sum32(r, block), value);
      rows.sum[r] = _mm256_fmadd_ps(d, value, rows.sum[r]);
    }
  }
  rows.store(y, stride);
}

// The 6-bit scales and minimums of 8 rows' Q4_K and Q5_K blocks, a byte per row in each number.
struct GroupScales {
  uint64_t bytes[12];

  explicit GroupScales(const uint8_t* at) { std::memcpy(bytes, at, sizeof bytes); }

  uint64_t scale(int g) const {
    if (g < 4) return bytes[g] & 0x3f3f3f3f3f3f3f3f;
    return (bytes[g + 4] & 0x0f0f0f0f0f0f0f0f) | (bytes[g - 4] >> 6 & 0x0303030303030303) << 4;
  }

  uint64_t minimum(int g) const {
    if (g < 4) return bytes[g + 4] & 0x3f3f3f3f3f3f3f3f;
    return (bytes[g + 4] >> 4 & 0x0f0f0f0f0f0f0f0f) | (bytes[g] >> 6 & 0x0303030303030303) << 4;
  }
};

// Q4_K, and Q5_K, which adds a fifth bit from vectors of its own before the nibbles.
template <int R, bool fifth_bit>
void q4_k_or_q5_k(const uint8_t* panel, const Int8Rows& x, int64_t first, float* y, int64_t stride) {
  constexpr int64_t block_bytes = 8 * (fifth_bit ? sizeof(talaria_block_q5_k) : sizeof(talaria_block_q4_k));
  constexpr int64_t high_at = 128, nibbles_at = fifth_bit ? 384 : 128;
  Rows<R> rows(x, first);
  for (int64_t super = 0; super < x.columns / 256; super++, panel += block_bytes) {
    fetch_ahead<R>(panel, block_bytes);
    __m256 d = halves(panel), dmin = halves(panel + 16);
    GroupScales scales(panel + 32);
    for (int pair = 0; pair < 4; pair++) {
      __m256i dots[2][R];
      for (int r = 0; r < R; r++) dots[0][r] = dots[1][r] = _mm256_setzero_si256();
      for (int c = 0; c < 8; c++) {
        __m256i v = load(panel + nibbles_at + 32 * (8 * pair + c));
        __m256i low = low_bits(v, 0, 15), high = low_bits(v, 4, 15);
        if (fifth_bit) {
          __m256i bits = load(panel + high_at + 32 * c);
          low = _mm256_or_si256(low, _mm256_slli_epi16(low_bits(bits, 2 * pair, 1), 4));
          high = _mm256_or_si256(high, _mm256_slli_epi16(low_bits(bits, 2 * pair + 1, 1), 4));
        }
        for (int r = 0; r < R; r++) {
          const int8_t* q = rows.q[r] + super * 256 + 64 * pair + 4 * c;
          dots[0][r] = dot(dots[0][r], low, broadcast4(q));
          dots[1][r] = dot(dots[1][r], high, broadcast4(q + 32));
        }
      }
      for (int half = 0; half < 2; half++) {
        int g = 2 * pair + half;
        __m256 scale = _mm256_mul_ps(d, unsigned_bytes(scales.scale(g)));
        __m256 minimum = _mm256_mul_ps(dmin, unsigned_bytes(scales.minimum(g)));
        for (int r = 0; r < R; r++) {
          int64_t block = super * 8 + g;
          __m256 value = _mm256_mul_ps(_mm256_cvtepi32_ps(dots[half][r]), _mm256_set1_ps(rows.scale[r][block]));
          rows.sum[r] = _mm256_fmadd_ps(scale, value, rows.sum[r]);
          rows.sum[r] = _mm256_fnmadd_ps(minimum, rows.sum32(r, block), rows.sum[r]);
        }
      }
    }
  }
  rows.store(y, stride);
}

template <int R>
void q4_k(const uint8_t* panel, const Int8Rows& x, int64_t first, float* y, int64_t stride) {
  q4_k_or_q5_k<R, false>(panel, x, first, y, stride);
}

template <int R>
void q5_k(const uint8_t* panel, const Int8Rows& x, int64_t first, float* y, int64_t stride) {
  q4_k_or_q5_k<R, true>(panel, x, first, y, stride);
}

template <int R>
void q6_k(const uint8_t* panel, const Int8Rows& x, int64_t first, float* y, int64_t stride) {
  constexpr int64_t high_at = 8 * 128, scales_at = high_at + 8 * 64, d_at = scales_at + 8 * 16;
  Rows<R> rows(x, first);
  for (int64_t super = 0; super < x.columns / 256; super++, panel += 8 * sizeof(talaria_block_q6_k)) {
    fetch_ahead<R>(panel, 8 * sizeof(talaria_block_q6_k));
    __m256 d = halves(panel + d_at);
    for (int g = 0; g < 8; g++) {  // 32 columns with two scales; 4 such groups share their vectors of bits
      const uint8_t* low_bytes = panel + 32 * (16 * (g / 4) + 8 * (g % 2));
      const uint8_t* high_bytes = panel + high_at + 32 * 8 * (g / 4);
      for (int half = 0; half < 2; half++) {
        __m256i dots[R];
        for (int r = 0; r < R; r++) dots[r] = _mm256_setzero_si256();
        for (int c = 4 * half; c < 4 * half + 4; c++) {
          __m256i low = low_bits(load(low_bytes + 32 * c), g % 4 / 2 * 4, 15);
          __m256i high = _mm256_slli_epi16(low_bits(load(high_bytes + 32 * c), 2 * (g % 4), 3), 4);
          __m256i w = _mm256_or_si256(low, high);
          for (int r = 0; r < R; r++) dots[r] = dot(dots[r], w, broadcast4(rows.q[r] + super * 256 + 32 * g + 4 * c));
        }
        __m256 scale = _mm256_mul_ps(d, signed_bytes(panel + scales_at + 8 * (2 * g + half)));
        for (int r = 0; r < R; r++) {
          __m256 value = _mm256_mul_ps(_mm256_cvtepi32_ps(dots[r]), _mm256_set1_ps(rows.scale[r][super * 8 + g]));
          __m256 sum = _mm256_set1_ps(rows.sum16[r][(super * 8 + g) * 2 + half]);
          value = _mm256_fnmadd_ps(_mm256_set1_ps(32.0f), sum, value);
          rows.sum[r] = _mm256_fmadd_ps(scale, value, rows.sum[r]);
        }
      }
    }
  }
  rows.store(y, stride);
}

// Four rows at a time, then what is left one by one.
#define TALARIA_PANEL_PRODUCT(kernel)                                                                                \
  void kernel##_rows(const uint8_t* panel, const Int8Rows& x, int64_t first, int64_t rows, float* y, int64_t stride) { \
    int64_t r = 0;                                                                                                   \
    for (; r + 4 <= rows; r += 4) kernel<4>(panel, x, first + r, y + r * stride, stride);                            \
    for (; r < rows; r++) kernel<1>(panel, x, first + r, y + r * stride, stride);                                    \
  }

TALARIA_PANEL_PRODUCT(q8_0)
TALARIA_PANEL_PRODUCT(q4_0)
TALARIA_PANEL_PRODUCT(q4_k)
TALARIA_PANEL_PRODUCT(q5_k)
TALARIA_PANEL_PRODUCT(q6_k)

inline __m256i round_to_int(const float* x, __m256 scale) {
  return _mm256_cvtps_epi32(_mm256_div_ps(_mm256_loadu_ps(x), scale));
}

// The sum of 16 int32 that come as two vectors.
inline int32_t sum(__m256i a, __m256i b) {
  __m256i eight = _mm256_add_epi32(a, b);
  __m128i four = _mm_add_epi32(_mm256_castsi256_si128(eight), _mm256_extracti128_si256(eight, 1));
  four = _mm_hadd_epi32(four, four);
  return _mm_extract_epi32(_mm_hadd_epi32(four, four), 0);
}

// As integers, magnitudes sort like floats, and a NaN above all.
inline float largest_magnitude(const float* x) {
  __m256i without_sign = _mm256_set1_epi32(0x7fffffff), largest = _mm256_setzero_si256();
  for (int i = 0; i < 32; i += 8) {
    __m256i bits = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(x + i));
    largest = _mm256_max_epi32(largest, _mm256_and_si256(bits, without_sign));
  }
  __m128i four = _mm_max_epi32(_mm256_castsi256_si128(largest), _mm256_extracti128_si256(largest, 1));
  four = _mm_max_epi32(four, _mm_shuffle_epi32(four, 0x4e));
  four = _mm_max_epi32(four, _mm_shuffle_epi32(four, 0xb1));
  return _mm_cvtss_f32(_mm_castsi128_ps(four));
}

}  // namespace

void quantise_row(const float* x, int64_t columns, int8_t* q, float* scale, float* sum16) {
  for (int64_t block = 0; block < columns / 32; block++, x += 32, q += 32) {
    float d = largest_magnitude(x) / 127.0f;
    scale[block] = d;
    // Zeros stay zeros: any divisor but 0 does.
    __m256 divisor = _mm256_set1_ps(d == 0 ? 1.0f : d);
    __m256i a = round_to_int(x, divisor), b = round_to_int(x + 8, divisor);
    __m256i c = round_to_int(x + 16, divisor), e = round_to_int(x + 24, divisor);
    sum16[2 * block] = d * static_cast<float>(sum(a, b));
    sum16[2 * block + 1] = d * static_cast<float>(sum(c, e));
    // Packing works on 128-bit halves; the last step puts their quarters in order.
    __m256i bytes = _mm256_packs_epi16(_mm256_packs_epi32(a, b), _mm256_packs_epi32(c, e));
    bytes = _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(q), bytes);
  }
}

PanelProduct panel_product(int32_t type) {
  switch (type) {
    case TALARIA_Q8_0: return q8_0_rows;
    case TALARIA_Q4_0: return q4_0_rows;
    case TALARIA_Q4_K: return q4_k_rows;
    case TALARIA_Q5_K: return q5_k_rows;
    case TALARIA_Q6_K: return q6_k_rows;
    default: return nullptr;
  }
}

}  // namespace talaria::cpu::ISA
