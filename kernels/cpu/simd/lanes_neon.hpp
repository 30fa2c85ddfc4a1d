// Sixteen lanes as four NEON registers, with the dot product instruction of Armv8.2 (every Apple M-series, Graviton 2 and
// later).
#pragma once

#include <arm_neon.h>

#include <cstdint>
#include <cstring>

namespace talaria::cpu::neon {
namespace {

constexpr int most_rows = 4;    // rows of activations that share a decoded weight
constexpr int signed_bias = 0;  // the instruction takes signed weights as they are

struct Ints {  // 16 lanes of 32 bits, or their 64 bytes
  int32x4_t v[4];
};
struct Floats {
  float32x4_t v[4];
};

// One result per quarter.
template <typename Result, typename Body>
inline Result quarters(Body body) {
  return {{body(0), body(1), body(2), body(3)}};
}

inline Ints load(const uint8_t* at) {
  return quarters<Ints>([=](int i) { return vreinterpretq_s32_u8(vld1q_u8(at + 16 * i)); });
}
inline Ints broadcast(int32_t value) {
  return quarters<Ints>([=](int) { return vdupq_n_s32(value); });
}
inline Ints zero_ints() { return broadcast(0); }
inline Ints low_bits(Ints a, int shift, int mask) {
  uint8x16_t bits = vdupq_n_u8(static_cast<uint8_t>(mask));
  int8x16_t right = vdupq_n_s8(static_cast<int8_t>(-shift));
  return quarters<Ints>([=](int i) { return vreinterpretq_s32_u8(vandq_u8(vshlq_u8(vreinterpretq_u8_s32(a.v[i]), right), bits)); });
}
inline Ints shift_left(Ints a, int shift) {
  int8x16_t left = vdupq_n_s8(static_cast<int8_t>(shift));
  return quarters<Ints>([=](int i) { return vreinterpretq_s32_u8(vshlq_u8(vreinterpretq_u8_s32(a.v[i]), left)); });
}
inline Ints either(Ints a, Ints b) {
  return quarters<Ints>([=](int i) { return vorrq_s32(a.v[i], b.v[i]); });
}

// sum + w . x, 4 bytes a lane: w of at most 7 bits, x signed
inline Ints dot(Ints sum, Ints w, Ints x) {
  return quarters<Ints>([=](int i) { return vdotq_s32(sum.v[i], vreinterpretq_s8_s32(w.v[i]), vreinterpretq_s8_s32(x.v[i])); });
}
inline Ints prepare_signed(Ints w) { return w; }
inline Ints dot_signed(Ints sum, Ints w, Ints x) { return dot(sum, w, x); }

inline Floats to_floats(Ints a) {
  return quarters<Floats>([=](int i) { return vcvtq_f32_s32(a.v[i]); });
}
inline Ints to_ints(Floats a) {  // to nearest, ties to even
  return quarters<Ints>([=](int i) { return vcvtnq_s32_f32(a.v[i]); });
}
inline Floats broadcast(float value) {
  return quarters<Floats>([=](int) { return vdupq_n_f32(value); });
}
inline Floats zero_floats() { return broadcast(0.0f); }
inline Floats load_floats(const float* at) {
  return quarters<Floats>([=](int i) { return vld1q_f32(at + 4 * i); });
}
inline void store(float* at, Floats a) {
  for (int i = 0; i < 4; i++) vst1q_f32(at + 4 * i, a.v[i]);
}
inline Floats add(Floats a, Floats b) {
  return quarters<Floats>([=](int i) { return vaddq_f32(a.v[i], b.v[i]); });
}
inline Floats multiply(Floats a, Floats b) {
  return quarters<Floats>([=](int i) { return vmulq_f32(a.v[i], b.v[i]); });
}
inline Floats divide(Floats a, Floats b) {
  return quarters<Floats>([=](int i) { return vdivq_f32(a.v[i], b.v[i]); });
}
inline Floats multiply_add(Floats a, Floats b, Floats c) {  // a * b + c
  return quarters<Floats>([=](int i) { return vfmaq_f32(c.v[i], a.v[i], b.v[i]); });
}
inline Floats negative_multiply_add(Floats a, Floats b, Floats c) {  // c - a * b
  return quarters<Floats>([=](int i) { return vfmsq_f32(c.v[i], a.v[i], b.v[i]); });
}
inline Floats lesser(Floats a, Floats b) {
  return quarters<Floats>([=](int i) { return vminq_f32(a.v[i], b.v[i]); });
}
inline Floats greater(Floats a, Floats b) {
  return quarters<Floats>([=](int i) { return vmaxq_f32(a.v[i], b.v[i]); });
}
inline Floats nearest(Floats a) {
  return quarters<Floats>([=](int i) { return vrndnq_f32(a.v[i]); });
}
inline Floats times_power_of_two(Floats a, Floats exponent) {
  return quarters<Floats>([=](int i) {
    int32x4_t bits = vshlq_n_s32(vaddq_s32(vcvtnq_s32_f32(exponent.v[i]), vdupq_n_s32(127)), 23);
    return vmulq_f32(a.v[i], vreinterpretq_f32_s32(bits));
  });
}

inline Floats halves(const uint8_t* at) {
  return quarters<Floats>([=](int i) { return vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8(at + 8 * i))); });
}
inline void store_halves(uint8_t* at, Floats a) {
  for (int i = 0; i < 4; i++) vst1_u8(at + 8 * i, vreinterpret_u8_f16(vcvt_f16_f32(a.v[i])));
}
inline Floats bfloats(const uint8_t* at) {
  return quarters<Floats>([=](int i) { return vreinterpretq_f32_u32(vshll_n_u16(vreinterpret_u16_u8(vld1_u8(at + 8 * i)), 16)); });
}
inline Floats unsigned_bytes(const uint8_t* at) {
  uint8x16_t bytes = vld1q_u8(at);
  uint16x8_t low = vmovl_u8(vget_low_u8(bytes)), high = vmovl_u8(vget_high_u8(bytes));
  return {{vcvtq_f32_u32(vmovl_u16(vget_low_u16(low))), vcvtq_f32_u32(vmovl_u16(vget_high_u16(low))),
           vcvtq_f32_u32(vmovl_u16(vget_low_u16(high))), vcvtq_f32_u32(vmovl_u16(vget_high_u16(high)))}};
}
inline Floats signed_bytes(const uint8_t* at) {
  int8x16_t bytes = vreinterpretq_s8_u8(vld1q_u8(at));
  int16x8_t low = vmovl_s8(vget_low_s8(bytes)), high = vmovl_s8(vget_high_s8(bytes));
  return {{vcvtq_f32_s32(vmovl_s16(vget_low_s16(low))), vcvtq_f32_s32(vmovl_s16(vget_high_s16(low))),
           vcvtq_f32_s32(vmovl_s16(vget_low_s16(high))), vcvtq_f32_s32(vmovl_s16(vget_high_s16(high)))}};
}
// The lanes as bytes; they are within -128 .. 127.
inline void store_bytes(int8_t* at, Ints a) {
  int16x8_t low = vcombine_s16(vmovn_s32(a.v[0]), vmovn_s32(a.v[1])), high = vcombine_s16(vmovn_s32(a.v[2]), vmovn_s32(a.v[3]));
  vst1q_s8(at, vcombine_s8(vmovn_s16(low), vmovn_s16(high)));
}

inline Ints magnitude_bits(Floats a) {
  return quarters<Ints>([=](int i) { return vandq_s32(vreinterpretq_s32_f32(a.v[i]), vdupq_n_s32(0x7fffffff)); });
}
inline Ints greater(Ints a, Ints b) {
  return quarters<Ints>([=](int i) { return vmaxq_s32(a.v[i], b.v[i]); });
}
inline int32_t greatest(Ints a) { return vmaxvq_s32(vmaxq_s32(vmaxq_s32(a.v[0], a.v[1]), vmaxq_s32(a.v[2], a.v[3]))); }
inline int32_t total(Ints a) { return vaddvq_s32(vaddq_s32(vaddq_s32(a.v[0], a.v[1]), vaddq_s32(a.v[2], a.v[3]))); }

inline void prefetch(const uint8_t* at) { __builtin_prefetch(at); }

}  // namespace
}  // namespace talaria::cpu::neon
