// AVX-512 VNNI on 256-bit vectors: one instruction for 4 products and their sum per lane.
#include <immintrin.h>

namespace talaria::cpu::vnni {
namespace {
inline __m256i dot(__m256i sum, __m256i w, __m256i x) { return _mm256_dpbusd_epi32(sum, w, x); }

// The instruction wants unsigned weights: 128 more, and 128 times the sum of x too much.
constexpr float signed_bias = 128;
inline __m256i dot_signed(__m256i sum, __m256i w, __m256i x) {
  return _mm256_dpbusd_epi32(sum, _mm256_xor_si256(w, _mm256_set1_epi8(-128)), x);
}
}  // namespace
}  // namespace talaria::cpu::vnni

#define ISA vnni
#include "int8_gemm.inl"
