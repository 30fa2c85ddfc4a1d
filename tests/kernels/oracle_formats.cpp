// The formats of weights, each decoded as io.talaria.quant documents it.
#include <bit>
#include <cmath>
#include <cstring>
#include <stdexcept>

#include "oracle.hpp"

namespace oracle {

double from_half(uint16_t half) {
  int sign = half >> 15, exponent = half >> 10 & 31, fraction = half & 1023;
  double magnitude = exponent == 31  ? (fraction != 0 ? NAN : INFINITY)
                     : exponent == 0 ? std::ldexp(fraction, -24)
                                     : std::ldexp(1024 + fraction, exponent - 25);
  return sign ? -magnitude : magnitude;
}

uint16_t to_half(double value) {
  uint16_t sign = std::signbit(value) ? 0x8000 : 0;
  double magnitude = std::fabs(value);
  if (std::isnan(value)) return 0x7e00;
  if (magnitude >= 65520) return sign | 0x7c00;
  // The bits of a half are ordered as the numbers are; rounding up may carry into the exponent, as it should.
  int exponent = magnitude < std::ldexp(1, -14) ? -14 : std::ilogb(magnitude);
  double units = std::nearbyint(std::ldexp(magnitude, 10 - exponent));
  return sign | static_cast<uint16_t>((exponent + 14) * 1024 + static_cast<int>(units));
}

namespace {

double half_at(const uint8_t* at) { return from_half(static_cast<uint16_t>(at[0] | at[1] << 8)); }

void put_half(uint8_t* at, double value) {
  uint16_t half = to_half(value);
  at[0] = half & 255, at[1] = half >> 8;
}

void f32(const uint8_t* block, float* values) { std::memcpy(values, block, 4); }
void f16(const uint8_t* block, float* values) { values[0] = static_cast<float>(half_at(block)); }
void bf16(const uint8_t* block, float* values) {
  values[0] = std::bit_cast<float>(static_cast<uint32_t>(block[0] | block[1] << 8) << 16);
}

void q4_0(const uint8_t* block, float* values) {
  double d = half_at(block);
  for (int i = 0; i < 16; i++) {
    values[i] = static_cast<float>(d * ((block[2 + i] & 15) - 8));
    values[i + 16] = static_cast<float>(d * ((block[2 + i] >> 4) - 8));
  }
}

void q8_0(const uint8_t* block, float* values) {
  double d = half_at(block);
  for (int i = 0; i < 32; i++) values[i] = static_cast<float>(d * static_cast<int8_t>(block[2 + i]));
}

// 12 bytes with eight scales and eight minimums of 6 bits.
int k_scale(const uint8_t* s, int group) {
  return group < 4 ? s[group] & 63 : (s[group + 4] & 15) | (s[group - 4] >> 6) << 4;
}
int k_minimum(const uint8_t* s, int group) {
  return group < 4 ? s[group + 4] & 63 : s[group + 4] >> 4 | (s[group] >> 6) << 4;
}

void q4_k(const uint8_t* block, float* values) {
  double d = half_at(block), dmin = half_at(block + 2);
  for (int i = 0; i < 256; i++) {
    int group = i / 32, code = block[16 + group / 2 * 32 + i % 32] >> group % 2 * 4 & 15;
    values[i] = static_cast<float>(d * k_scale(block + 4, group) * code - dmin * k_minimum(block + 4, group));
  }
}

void q5_k(const uint8_t* block, float* values) {
  double d = half_at(block), dmin = half_at(block + 2);
  for (int i = 0; i < 256; i++) {
    int group = i / 32, low = block[48 + group / 2 * 32 + i % 32] >> group % 2 * 4 & 15;
    int code = low | (block[16 + i % 32] >> group & 1) << 4;
    values[i] = static_cast<float>(d * k_scale(block + 4, group) * code - dmin * k_minimum(block + 4, group));
  }
}

void q6_k(const uint8_t* block, float* values) {
  double d = half_at(block + 208);
  for (int i = 0; i < 256; i++) {
    int half = i / 128, at = i % 128;
    int low = block[half * 64 + at % 64] >> at / 64 * 4 & 15;
    int high = block[128 + half * 32 + at % 32] >> at / 32 * 2 & 3;
    values[i] = static_cast<float>(d * static_cast<int8_t>(block[192 + i / 16]) * ((low | high << 4) - 32));
  }
}

}  // namespace

const std::vector<Format> formats = {
    {TALARIA_F32, "F32", 1, 4, f32,
     [](uint8_t* b, double size, double normal) {
       float value = static_cast<float>(size * normal);
       std::memcpy(b, &value, 4);
     }},
    {TALARIA_F16, "F16", 1, 2, f16, [](uint8_t* b, double size, double normal) { put_half(b, size * normal); }},
    {TALARIA_BF16, "BF16", 1, 2, bf16,
     [](uint8_t* b, double size, double normal) {
       uint32_t bits = std::bit_cast<uint32_t>(static_cast<float>(size * normal));
       b[0] = bits >> 16 & 255, b[1] = bits >> 24;
     }},
    {TALARIA_Q4_0, "Q4_0", 32, 18, q4_0, [](uint8_t* b, double size, double) { put_half(b, size / 4.6); }},
    {TALARIA_Q8_0, "Q8_0", 32, 34, q8_0, [](uint8_t* b, double size, double) { put_half(b, size / 74); }},
    // The mean code times d is dmin, so that a block's mean is near zero.
    {TALARIA_Q4_K, "Q4_K", 256, 144, q4_k,
     [](uint8_t* b, double size, double) { put_half(b, size / 400), put_half(b + 2, size / 400 * 7.5); }},
    {TALARIA_Q5_K, "Q5_K", 256, 176, q5_k,
     [](uint8_t* b, double size, double) { put_half(b, size / 800), put_half(b + 2, size / 800 * 15.5); }},
    {TALARIA_Q6_K, "Q6_K", 256, 210, q6_k, [](uint8_t* b, double size, double) { put_half(b + 208, size / 1370); }},
};

const Format& format(int32_t type) {
  for (const Format& f : formats) {
    if (f.type == type) return f;
  }
  throw std::logic_error("no weight has this type");
}

Floats Weight::row(int64_t matrix, int64_t row) const {
  const Format& f = format(type);
  Floats values(static_cast<size_t>(columns));
  const uint8_t* block = bytes.data() + (matrix * rows + row) * row_bytes();
  for (int64_t i = 0; i < columns; i += f.block_values, block += f.block_bytes) f.decode(block, values.data() + i);
  return values;
}

}  // namespace oracle
