// Single values of a weight, for ops that read few of them: the embedding's rows, the router.
#pragma once

#include "dot.h"

DEVICE float weight_value(const LOCAL Matrix& m, int32_t type, int64_t row, int64_t column) {
  int64_t at = row * m.columns + column, block = at / 256, within = column % 256;
  switch (type) {
    case TALARIA_F32: return reinterpret_cast<const GLOBAL float*>(m.first + row * m.row_bytes)[column];
    case TALARIA_F16: return half_at(m.first + row * m.row_bytes + 2 * column);
    case TALARIA_BF16:
      return bits_float(static_cast<uint32_t>(reinterpret_cast<const GLOBAL uint16_t*>(m.first + row * m.row_bytes)[column]) << 16);
    case TALARIA_Q4_0: {
      uint32_t byte = m.first[at / 32 * 16 + at % 16];
      return half_at(m.second + at / 32 * 2) * (static_cast<float>(at % 32 < 16 ? byte & 15 : byte >> 4) - 8.0f);
    }
    case TALARIA_Q8_0:
      return half_at(m.second + at / 32 * 2) * static_cast<float>(reinterpret_cast<const GLOBAL int8_t*>(m.first)[at]);
    case TALARIA_Q6_K: {
      int64_t half = within / 128, l = within % 32, quarter = within % 128 / 32;
      uint32_t low = m.first[block * 128 + half * 64 + (quarter & 1) * 32 + l] >> (quarter & 2) * 2 & 15;
      uint32_t high = m.second[block * 64 + half * 32 + l] >> 2 * quarter & 3;
      float scale = half_at(m.fourth + block * 2) * static_cast<float>(reinterpret_cast<const GLOBAL int8_t*>(m.third)[at / 16]);
      return scale * (static_cast<float>(low | high << 4) - 32.0f);
    }
    default: {  // Q4_K, Q5_K
      const GLOBAL uint8_t* heads = type == TALARIA_Q4_K ? m.second : m.third;
      const uint32_t group = static_cast<uint32_t>(within) / 32, i = static_cast<uint32_t>(within) % 32;
      uint32_t code = m.first[block * 128 + group * 16 + i % 16] >> i / 16 * 4 & 15;
      if (type == TALARIA_Q5_K) code |= (m.second[block * 32 + group * 4 + i % 4] >> i / 4 & 1u) << 4;
      float scale, minimum;
      Words4 head = *reinterpret_cast<const GLOBAL Words4*>(heads + block * 16);
      group_scale(head, group, scale, minimum);
      return scale * static_cast<float>(code) - minimum;
    }
  }
}
