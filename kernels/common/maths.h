// Functions that vendors' libraries compute to different last bits: here once, so that every device, and the emulator,
// computes the same. C that CUDA, HIP, Metal and OpenCL accept; a dialect's header comes first. Errors are measured by
// tests/kernels/maths.cpp.
#ifndef TALARIA_MATHS_H
#define TALARIA_MATHS_H

// e^x, within 2 units in the last place; 0 below -103.9, infinite above 88.72.
DEVICE float exp_float(float x) {
  if (!(x > -103.97f)) return x != x ? x : 0.0f;
  if (x > 88.8f) return bits_float(0x7f800000);
  float n = round_even(x * 1.44269504f);
  float r = fma(n, -0.693359375f, x);
  r = fma(n, 2.12194440e-4f, r);
  float p = 1.9875691500e-4f;
  p = fma(p, r, 1.3981999507e-3f);
  p = fma(p, r, 8.3334519073e-3f);
  p = fma(p, r, 4.1665795894e-2f);
  p = fma(p, r, 1.6666665459e-1f);
  p = fma(p, r, 5.0000001201e-1f);
  p = fma(p, r * r, r + 1.0f);
  // 2^n in two factors: n goes from -150 to 128.
  int32_t whole = (int32_t)n, low = whole / 2, high = whole - low;
  return p * bits_float((uint32_t)(low + 127) << 23) * bits_float((uint32_t)(high + 127) << 23);
}

// log x of a positive, normal x, within 2 units in the last place; of infinity and NaN, themselves.
DEVICE float log_float(float x) {
  if (!(x < bits_float(0x7f800000))) return x;
  int32_t bits = (int32_t)float_bits(x) - 0x3f3504f3;  // the bits of sqrt(1/2)
  float exponent = (float)(bits >> 23);
  float m = bits_float(((uint32_t)bits & 0x7fffff) + 0x3f3504f3);  // in [sqrt(1/2), sqrt(2))
  float s = (m - 1.0f) / (m + 1.0f), z = s * s;
  float p = fma(z, 0.22222222f, 0.28571429f);
  p = fma(p, z, 0.4f);
  p = fma(p, z, 0.66666667f);
  float low = fma(p * z, s, exponent * -2.12194440e-4f);
  return fma(exponent, 0.693359375f, low + 2.0f * s);
}

// x * sigmoid(x)
DEVICE float silu(float x) { return x / (1.0f + exp_float(-x)); }

typedef struct SinCos {
  float sin, cos;
} SinCos;

// Of an angle in 2^64ths of a turn, modulo 2^64: a position times a frequency in them is exact, however large, where
// float32 would be off by 1e-3 at position 32,000, and not every GPU has a double.
DEVICE SinCos sin_cos(uint64_t turns) {
  int32_t quarter = (int32_t)((turns + ((uint64_t)1 << 61)) >> 62);  // the nearest one
  int64_t rest = (int64_t)(turns - ((uint64_t)quarter << 62));
  float part = (float)rest * 2.16840434e-19f;                // 2^-62: of a quarter, in [-1/2, 1/2]
  float r = fma(part, 1.57079637f, part * -4.37113883e-8f);  // pi / 2 in two parts
  float z = r * r;
  float s = fma(z, 2.7525562e-6f, -1.98408743e-4f);
  s = fma(s, z, 8.33333376e-3f);
  s = fma(s, z, -1.66666667e-1f);
  s = fma(s * z, r, r);
  float c = fma(z, 2.44331571e-5f, -1.38873162e-3f);
  c = fma(c, z, 4.16666456e-2f);
  c = fma(c, z, -0.5f);
  c = fma(c, z, 1.0f);
  float first = quarter & 1 ? c : s, second = quarter & 1 ? s : c;
  SinCos result;
  result.sin = quarter & 2 ? -first : first;
  result.cos = (quarter + 1) & 2 ? -second : second;
  return result;
}

#endif
