// Sixteen lanes as plain arrays, for processors without any of the others; the compiler makes of it what it can.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "../kernels.hpp"

namespace talaria::cpu::portable {
namespace {

constexpr int most_rows = 4;    // rows of activations that share a decoded weight
constexpr int signed_bias = 0;  // dot_signed takes signed weights as they are

struct Ints {  // 16 lanes of 32 bits, or their 64 bytes
  int32_t v[16];
};
struct Floats {
  float v[16];
};

template <typename Result, typename Body>
inline Result each_lane(Body body) {
  Result result;
  for (int i = 0; i < 16; i++) result.v[i] = body(i);
  return result;
}

// The same of each byte.
template <typename Body>
inline Ints bytes_of(const Ints& a, Body body) {
  uint8_t bytes[64];
  Ints result;
  std::memcpy(bytes, &a, 64);
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(body(byte));
  std::memcpy(&result, bytes, 64);
  return result;
}

inline Ints load(const uint8_t* at) {
  Ints result;
  std::memcpy(&result, at, 64);
  return result;
}
inline Ints broadcast(int32_t value) {
  return each_lane<Ints>([=](int) { return value; });
}
inline Ints zero_ints() { return broadcast(0); }
inline Ints low_bits(const Ints& a, int shift, int mask) {
  return bytes_of(a, [=](uint8_t byte) { return byte >> shift & mask; });
}
inline Ints shift_left(const Ints& a, int shift) {
  return bytes_of(a, [=](uint8_t byte) { return byte << shift; });
}
inline Ints either(const Ints& a, const Ints& b) {
  return each_lane<Ints>([&](int i) { return a.v[i] | b.v[i]; });
}

// sum + w . x, 4 bytes a lane: w of at most 7 bits, x signed
inline Ints dot(const Ints& sum, const Ints& w, const Ints& x) {
  int8_t a[64], b[64];
  std::memcpy(a, &w, 64);
  std::memcpy(b, &x, 64);
  return each_lane<Ints>([&](int i) {
    int32_t result = sum.v[i];
    for (int j = 4 * i; j < 4 * i + 4; j++) result += a[j] * b[j];
    return result;
  });
}
inline Ints prepare_signed(const Ints& w) { return w; }
inline Ints dot_signed(const Ints& sum, const Ints& w, const Ints& x) { return dot(sum, w, x); }

inline Floats to_floats(const Ints& a) {
  return each_lane<Floats>([&](int i) { return static_cast<float>(a.v[i]); });
}
inline Ints to_ints(const Floats& a) {  // to nearest, ties to even
  return each_lane<Ints>([&](int i) { return static_cast<int32_t>(std::nearbyintf(a.v[i])); });
}
inline Floats broadcast(float value) {
  return each_lane<Floats>([=](int) { return value; });
}
inline Floats zero_floats() { return broadcast(0.0f); }
inline Floats load_floats(const float* at) {
  return each_lane<Floats>([=](int i) { return at[i]; });
}
inline void store(float* at, const Floats& a) { std::memcpy(at, a.v, sizeof a.v); }
inline Floats add(const Floats& a, const Floats& b) {
  return each_lane<Floats>([&](int i) { return a.v[i] + b.v[i]; });
}
inline Floats multiply(const Floats& a, const Floats& b) {
  return each_lane<Floats>([&](int i) { return a.v[i] * b.v[i]; });
}
inline Floats divide(const Floats& a, const Floats& b) {
  return each_lane<Floats>([&](int i) { return a.v[i] / b.v[i]; });
}
inline Floats multiply_add(const Floats& a, const Floats& b, const Floats& c) {  // a * b + c
  return each_lane<Floats>([&](int i) { return a.v[i] * b.v[i] + c.v[i]; });
}
inline Floats negative_multiply_add(const Floats& a, const Floats& b, const Floats& c) {  // c - a * b
  return each_lane<Floats>([&](int i) { return c.v[i] - a.v[i] * b.v[i]; });
}
inline Floats lesser(const Floats& a, const Floats& b) {
  return each_lane<Floats>([&](int i) { return a.v[i] < b.v[i] ? a.v[i] : b.v[i]; });
}
inline Floats greater(const Floats& a, const Floats& b) {
  return each_lane<Floats>([&](int i) { return a.v[i] > b.v[i] ? a.v[i] : b.v[i]; });
}
inline Floats nearest(const Floats& a) {
  return each_lane<Floats>([&](int i) { return std::nearbyintf(a.v[i]); });
}
inline Floats times_power_of_two(const Floats& a, const Floats& exponent) {
  return each_lane<Floats>([&](int i) {
    return a.v[i] * std::bit_cast<float>((static_cast<int32_t>(exponent.v[i]) + 127) << 23);
  });
}

inline uint16_t word(const uint8_t* at) {
  uint16_t result;
  std::memcpy(&result, at, 2);
  return result;
}
inline Floats halves(const uint8_t* at) {
  return each_lane<Floats>([=](int i) { return half_to_float(word(at + 2 * i)); });
}
inline void store_halves(uint8_t* at, const Floats& a) {
  for (int i = 0; i < 16; i++) {
    uint16_t half = float_to_half(a.v[i]);
    std::memcpy(at + 2 * i, &half, 2);
  }
}
inline Floats bfloats(const uint8_t* at) {
  return each_lane<Floats>([=](int i) { return std::bit_cast<float>(static_cast<uint32_t>(word(at + 2 * i)) << 16); });
}
inline Floats unsigned_bytes(const uint8_t* at) {
  return each_lane<Floats>([=](int i) { return static_cast<float>(at[i]); });
}
inline Floats signed_bytes(const uint8_t* at) {
  return each_lane<Floats>([=](int i) { return static_cast<float>(static_cast<int8_t>(at[i])); });
}
// The lanes as bytes; they are within -128 .. 127.
inline void store_bytes(int8_t* at, const Ints& a) {
  for (int i = 0; i < 16; i++) at[i] = static_cast<int8_t>(a.v[i]);
}

inline Ints magnitude_bits(const Floats& a) {
  return each_lane<Ints>([&](int i) { return std::bit_cast<int32_t>(a.v[i]) & 0x7fffffff; });
}
inline Ints greater(const Ints& a, const Ints& b) {
  return each_lane<Ints>([&](int i) { return std::max(a.v[i], b.v[i]); });
}
inline int32_t greatest(const Ints& a) { return *std::max_element(a.v, a.v + 16); }
inline int32_t total(const Ints& a) {
  int32_t result = 0;
  for (int32_t lane : a.v) result += lane;
  return result;
}

inline void prefetch(const uint8_t*) {}

}  // namespace
}  // namespace talaria::cpu::portable
