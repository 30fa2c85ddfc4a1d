// Sixteen lanes as one AVX-512 register; products of bytes by VNNI.
#pragma once

#include <immintrin.h>

#include <cstdint>
#include <cstring>

namespace talaria::cpu::avx512 {
namespace {

constexpr int most_rows = 16;     // rows of activations that share a decoded weight
constexpr int signed_bias = 128;  // dot_signed's result is too large by this times the sum of x

using Ints = __m512i;  // 16 lanes of 32 bits, or their 64 bytes
using Floats = __m512;

inline Ints load(const uint8_t* at) { return _mm512_loadu_si512(at); }
inline Ints broadcast(int32_t value) { return _mm512_set1_epi32(value); }
inline Ints zero_ints() { return _mm512_setzero_si512(); }
inline Ints low_bits(Ints v, int shift, int mask) {
  return _mm512_and_si512(_mm512_srli_epi16(v, static_cast<unsigned>(shift)), _mm512_set1_epi8(static_cast<char>(mask)));
}
inline Ints shift_left(Ints v, int shift) { return _mm512_slli_epi16(v, static_cast<unsigned>(shift)); }
inline Ints either(Ints a, Ints b) { return _mm512_or_si512(a, b); }

// sum + w . x, 4 bytes a lane: w unsigned, x signed
inline Ints dot(Ints sum, Ints w, Ints x) { return _mm512_dpbusd_epi32(sum, w, x); }
// The instruction wants unsigned weights, so those of dot_signed go in with 128 more.
inline Ints prepare_signed(Ints w) { return _mm512_xor_si512(w, _mm512_set1_epi8(-128)); }
inline Ints dot_signed(Ints sum, Ints w, Ints x) { return _mm512_dpbusd_epi32(sum, w, x); }

inline Floats to_floats(Ints v) { return _mm512_cvtepi32_ps(v); }
inline Ints to_ints(Floats v) { return _mm512_cvtps_epi32(v); }  // to nearest, ties to even
inline Floats broadcast(float value) { return _mm512_set1_ps(value); }
inline Floats zero_floats() { return _mm512_setzero_ps(); }
inline Floats load_floats(const float* at) { return _mm512_loadu_ps(at); }
inline void store(float* at, Floats v) { _mm512_storeu_ps(at, v); }
inline Floats add(Floats a, Floats b) { return _mm512_add_ps(a, b); }
inline Floats multiply(Floats a, Floats b) { return _mm512_mul_ps(a, b); }
inline Floats divide(Floats a, Floats b) { return _mm512_div_ps(a, b); }
inline Floats multiply_add(Floats a, Floats b, Floats c) { return _mm512_fmadd_ps(a, b, c); }            // a * b + c
inline Floats negative_multiply_add(Floats a, Floats b, Floats c) { return _mm512_fnmadd_ps(a, b, c); }  // c - a * b
inline Floats lesser(Floats a, Floats b) { return _mm512_min_ps(a, b); }
inline Floats greater(Floats a, Floats b) { return _mm512_max_ps(a, b); }
inline Floats nearest(Floats v) { return _mm512_roundscale_ps(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
inline Floats times_power_of_two(Floats v, Floats exponent) { return _mm512_scalef_ps(v, exponent); }

inline Floats halves(const uint8_t* at) { return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(at))); }
inline void store_halves(uint8_t* at, Floats v) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(at), _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
}
inline Floats bfloats(const uint8_t* at) {
  Ints wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(at)));
  return _mm512_castsi512_ps(_mm512_slli_epi32(wide, 16));
}
inline Floats unsigned_bytes(const uint8_t* at) {
  return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(at))));
}
inline Floats signed_bytes(const uint8_t* at) {
  return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(at))));
}
// The lanes as bytes; they are within -128 .. 127.
inline void store_bytes(int8_t* at, Ints v) { _mm_storeu_si128(reinterpret_cast<__m128i*>(at), _mm512_cvtepi32_epi8(v)); }

inline Ints magnitude_bits(Floats v) { return _mm512_and_si512(_mm512_castps_si512(v), _mm512_set1_epi32(0x7fffffff)); }
inline Ints greater(Ints a, Ints b) { return _mm512_max_epi32(a, b); }
inline int32_t greatest(Ints v) { return _mm512_reduce_max_epi32(v); }
inline int32_t total(Ints v) { return _mm512_reduce_add_epi32(v); }

inline void prefetch(const uint8_t* at) { _mm_prefetch(reinterpret_cast<const char*>(at), _MM_HINT_T0); }

}  // namespace
}  // namespace talaria::cpu::avx512
