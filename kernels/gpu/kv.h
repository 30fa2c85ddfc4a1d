// Rows of a KV cache (KvArg; weights.h says how it lies).
#pragma once

#include "launch_args.h"
#include "rows.h"
#include "weights.h"

// The row that keeps a position of a row's sequence.
DEVICE int64_t kv_row(ARGS KvArg& kv, ARGS BatchArg& batch, int64_t row, int32_t position) {
  int64_t block = batch.block[static_cast<int64_t>(batch.table[row]) * batch.blocks + position / kv.positions];
  return kv.layer_row + block * kv.positions + position % kv.positions;
}

// To the nearest, halves away from zero.
DEVICE float round_away(float value) {
  float whole = static_cast<float>(static_cast<int32_t>(value)), rest = value - whole;
  return whole + (rest >= 0.5f ? 1.0f : rest <= -0.5f ? -1.0f : 0.0f);
}

// A warp stores 32 values of a cache's row from column `begin`, a multiple of 32: each lane its own, those behind the
// width nowhere. All warps come here; one that is not `live` stores nothing.
DEVICE void store_kv_block(ARGS KvArg& kv, GLOBAL uint8_t* cache, uint32_t lane, int64_t row, int64_t begin, float value,
                           bool live) {
  int64_t column = begin + lane, at = row * kv.width + column;
  live = live && column < kv.width;
  if (kv.type == TALARIA_F32) {
    if (live) reinterpret_cast<GLOBAL float*>(cache)[at] = value;
  } else if (kv.type == TALARIA_F16) {
    if (live) reinterpret_cast<GLOBAL uint16_t*>(cache)[at] = float_to_half(value);
  } else {
    float scale = warp_max(absolute(value)) / 127.0f;
    float inverse = scale > 0 ? 1.0f / scale : 0.0f, code = value * inverse;
    float nan = warp_sum(value - value);  // NaN if any value is, so that the block decodes to NaN and is noticed
    if (!live) return;
    code = code != code ? 0.0f : code > 127.0f ? 127.0f : code < -127.0f ? -127.0f : round_away(code);
    reinterpret_cast<GLOBAL int8_t*>(cache)[at] = static_cast<int8_t>(code);
    if (lane == 0) {
      reinterpret_cast<GLOBAL uint16_t*>(cache + kv.all_rows * kv.width)[at / 32] = float_to_half(scale + nan);
    }
  }
}
