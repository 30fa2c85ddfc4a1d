// Sixteen lanes as two AVX2 registers. With TALARIA_AVX_VNNI one instruction multiplies bytes, else two do.
#pragma once

#include <immintrin.h>

#include <cstdint>
#include <cstring>

namespace talaria::cpu::ISA {
namespace {

constexpr int most_rows = 4;  // rows of activations that share a decoded weight

struct Ints {  // 16 lanes of 32 bits, or their 64 bytes
  __m256i a, b;
};
struct Floats {
  __m256 a, b;
};

inline __m256i load_half(const uint8_t* at) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at)); }
inline __m128i load_quarter(const uint8_t* at) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(at)); }
inline __m128i load_eighth(const uint8_t* at) { return _mm_loadl_epi64(reinterpret_cast<const __m128i*>(at)); }

inline Ints load(const uint8_t* at) { return {load_half(at), load_half(at + 32)}; }
inline Ints broadcast(int32_t value) { return {_mm256_set1_epi32(value), _mm256_set1_epi32(value)}; }
inline Ints zero_ints() { return {_mm256_setzero_si256(), _mm256_setzero_si256()}; }
inline Ints low_bits(Ints v, int shift, int mask) {
  __m256i bits = _mm256_set1_epi8(static_cast<char>(mask));
  return {_mm256_and_si256(_mm256_srli_epi16(v.a, shift), bits), _mm256_and_si256(_mm256_srli_epi16(v.b, shift), bits)};
}
inline Ints shift_left(Ints v, int shift) { return {_mm256_slli_epi16(v.a, shift), _mm256_slli_epi16(v.b, shift)}; }
inline Ints either(Ints a, Ints b) { return {_mm256_or_si256(a.a, b.a), _mm256_or_si256(a.b, b.b)}; }

#ifdef TALARIA_AVX_VNNI
constexpr int signed_bias = 128;  // dot_signed's result is too large by this times the sum of x
inline __m256i dot_half(__m256i sum, __m256i w, __m256i x) { return _mm256_dpbusd_avx_epi32(sum, w, x); }
inline __m256i dot_signed_half(__m256i sum, __m256i w, __m256i x) { return dot_half(sum, w, x); }
inline Ints prepare_signed(Ints w) {
  __m256i bias = _mm256_set1_epi8(-128);
  return {_mm256_xor_si256(w.a, bias), _mm256_xor_si256(w.b, bias)};
}
#else
constexpr int signed_bias = 0;
// Pairs of products as saturating 16-bit sums: 6-bit weights, and signed ones by magnitude, cannot overflow them.
inline __m256i dot_half(__m256i sum, __m256i w, __m256i x) {
  return _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_maddubs_epi16(w, x), _mm256_set1_epi16(1)));
}
inline __m256i dot_signed_half(__m256i sum, __m256i w, __m256i x) {
  return dot_half(sum, _mm256_abs_epi8(w), _mm256_sign_epi8(x, w));
}
inline Ints prepare_signed(Ints w) { return w; }
#endif
// sum + w . x, 4 bytes a lane: w unsigned of at most 6 bits, x signed
inline Ints dot(Ints sum, Ints w, Ints x) { return {dot_half(sum.a, w.a, x.a), dot_half(sum.b, w.b, x.b)}; }
inline Ints dot_signed(Ints sum, Ints w, Ints x) {
  return {dot_signed_half(sum.a, w.a, x.a), dot_signed_half(sum.b, w.b, x.b)};
}

inline Floats to_floats(Ints v) { return {_mm256_cvtepi32_ps(v.a), _mm256_cvtepi32_ps(v.b)}; }
inline Ints to_ints(Floats v) { return {_mm256_cvtps_epi32(v.a), _mm256_cvtps_epi32(v.b)}; }  // to nearest, ties to even
inline Floats broadcast(float value) { return {_mm256_set1_ps(value), _mm256_set1_ps(value)}; }
inline Floats zero_floats() { return {_mm256_setzero_ps(), _mm256_setzero_ps()}; }
inline Floats load_floats(const float* at) { return {_mm256_loadu_ps(at), _mm256_loadu_ps(at + 8)}; }
inline void store(float* at, Floats v) {
  _mm256_storeu_ps(at, v.a);
  _mm256_storeu_ps(at + 8, v.b);
}
inline Floats add(Floats a, Floats b) { return {_mm256_add_ps(a.a, b.a), _mm256_add_ps(a.b, b.b)}; }
inline Floats multiply(Floats a, Floats b) { return {_mm256_mul_ps(a.a, b.a), _mm256_mul_ps(a.b, b.b)}; }
inline Floats divide(Floats a, Floats b) { return {_mm256_div_ps(a.a, b.a), _mm256_div_ps(a.b, b.b)}; }
inline Floats multiply_add(Floats a, Floats b, Floats c) {  // a * b + c
  return {_mm256_fmadd_ps(a.a, b.a, c.a), _mm256_fmadd_ps(a.b, b.b, c.b)};
}
inline Floats negative_multiply_add(Floats a, Floats b, Floats c) {  // c - a * b
  return {_mm256_fnmadd_ps(a.a, b.a, c.a), _mm256_fnmadd_ps(a.b, b.b, c.b)};
}
inline Floats lesser(Floats a, Floats b) { return {_mm256_min_ps(a.a, b.a), _mm256_min_ps(a.b, b.b)}; }
inline Floats greater(Floats a, Floats b) { return {_mm256_max_ps(a.a, b.a), _mm256_max_ps(a.b, b.b)}; }
inline Floats nearest(Floats v) {
  constexpr int mode = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
  return {_mm256_round_ps(v.a, mode), _mm256_round_ps(v.b, mode)};
}
inline __m256 power_of_two(__m256 exponent) {
  __m256i bits = _mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(exponent), _mm256_set1_epi32(127)), 23);
  return _mm256_castsi256_ps(bits);
}
inline Floats times_power_of_two(Floats v, Floats exponent) {
  return multiply(v, {power_of_two(exponent.a), power_of_two(exponent.b)});
}

inline Floats halves(const uint8_t* at) { return {_mm256_cvtph_ps(load_quarter(at)), _mm256_cvtph_ps(load_quarter(at + 16))}; }
inline void store_halves(uint8_t* at, Floats v) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(at), _mm256_cvtps_ph(v.a, _MM_FROUND_TO_NEAREST_INT));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(at + 16), _mm256_cvtps_ph(v.b, _MM_FROUND_TO_NEAREST_INT));
}
inline __m256 bfloats_half(const uint8_t* at) {
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(load_quarter(at)), 16));
}
inline Floats bfloats(const uint8_t* at) { return {bfloats_half(at), bfloats_half(at + 16)}; }
inline Floats unsigned_bytes(const uint8_t* at) {
  return to_floats({_mm256_cvtepu8_epi32(load_eighth(at)), _mm256_cvtepu8_epi32(load_eighth(at + 8))});
}
inline Floats signed_bytes(const uint8_t* at) {
  return to_floats({_mm256_cvtepi8_epi32(load_eighth(at)), _mm256_cvtepi8_epi32(load_eighth(at + 8))});
}
// The lanes as bytes; they are within -128 .. 127.
inline void store_bytes(int8_t* at, Ints v) {
  // Packing works on 128-bit halves; the permutation puts their quarters in order.
  __m256i words = _mm256_permute4x64_epi64(_mm256_packs_epi32(v.a, v.b), 0xd8);
  __m128i bytes = _mm_packs_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(at), bytes);
}

inline Ints magnitude_bits(Floats v) {
  __m256i without_sign = _mm256_set1_epi32(0x7fffffff);
  return {_mm256_and_si256(_mm256_castps_si256(v.a), without_sign), _mm256_and_si256(_mm256_castps_si256(v.b), without_sign)};
}
inline Ints greater(Ints a, Ints b) { return {_mm256_max_epi32(a.a, b.a), _mm256_max_epi32(a.b, b.b)}; }
inline int32_t greatest(Ints v) {
  __m256i eight = _mm256_max_epi32(v.a, v.b);
  __m128i four = _mm_max_epi32(_mm256_castsi256_si128(eight), _mm256_extracti128_si256(eight, 1));
  four = _mm_max_epi32(four, _mm_shuffle_epi32(four, 0x4e));
  return _mm_cvtsi128_si32(_mm_max_epi32(four, _mm_shuffle_epi32(four, 0xb1)));
}
inline int32_t total(Ints v) {
  __m256i eight = _mm256_add_epi32(v.a, v.b);
  __m128i four = _mm_add_epi32(_mm256_castsi256_si128(eight), _mm256_extracti128_si256(eight, 1));
  four = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4e));
  return _mm_cvtsi128_si32(_mm_add_epi32(four, _mm_shuffle_epi32(four, 0xb1)));
}

inline void prefetch(const uint8_t* at) { _mm_prefetch(reinterpret_cast<const char*>(at), _MM_HINT_T0); }

}  // namespace
}  // namespace talaria::cpu::ISA
