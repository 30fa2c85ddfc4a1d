// Instructions of the matrix units, by the layouts of fragments that the PTX ISA gives, section "Warp Level Matrix
// Instructions". They are written from there alone, and not from tests/simt/matrix.cpp, which they are a check of.
#pragma once

#include <bit>
#include <cmath>

#include "module.hpp"

namespace ptx {

struct MatrixOperation {
  const char* name;
  Run run;
  bool loads;  // ldmatrix
};
const std::vector<MatrixOperation>& matrix_operations();

// A number that was calculated; any NaN is this one.
inline uint32_t float_bits(float v) { return std::isnan(v) ? 0x7fffffff : std::bit_cast<uint32_t>(v); }

// float16, of which the low 16 bits of a word count.
inline float half_value(uint32_t bits) {
  static const std::vector<float> values = [] {  // to convert one is a call that costs more than to look it up
    std::vector<float> all(1 << 16);
    for (uint32_t i = 0; i < all.size(); i++)
      all[i] = static_cast<float>(__builtin_bit_cast(_Float16, static_cast<uint16_t>(i)));
    return all;
  }();
  return values[bits & 0xffff];
}
inline uint32_t half_bits(float v) {
  return std::isnan(v) ? 0x7fff : __builtin_bit_cast(uint16_t, static_cast<_Float16>(v));
}

}  // namespace ptx
