// AVX2: pairs of products as saturating 16-bit sums, which 6-bit weights, and signed ones by magnitude, cannot overflow.
#include <immintrin.h>

namespace talaria::cpu::avx2 {
namespace {
inline __m256i dot(__m256i sum, __m256i w, __m256i x) {
  return _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_maddubs_epi16(w, x), _mm256_set1_epi16(1)));
}

constexpr float signed_bias = 0;
inline __m256i dot_signed(__m256i sum, __m256i w, __m256i x) {
  return dot(sum, _mm256_abs_epi8(w), _mm256_sign_epi8(x, w));
}
}  // namespace
}  // namespace talaria::cpu::avx2

#define ISA avx2
#include "int8_gemm.inl"
