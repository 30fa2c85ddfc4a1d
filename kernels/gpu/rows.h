// Rows of activations in the forms that products read (RowsArg).
#pragma once

#include "launch_args.h"
#include "reduce.h"

DEVICE bool row_in_batch(ARGS BatchArg& batch, uint32_t row) { return static_cast<int32_t>(row) < batch.header[0]; }

DEVICE int32_t row_count(ARGS BatchArg& batch, int32_t choice) {
  return choice == WANTED_ROWS ? batch.header[1] - batch.first_wanted : batch.header[0];
}

// A warp stores 32 values of a row from column `begin`, a multiple of 32: each lane its own, 0 behind the row's end. All
// warps come here; one that is not `live` stores nothing.
DEVICE void store_block(ARGS RowsArg& out, uint32_t lane, int64_t row, int64_t begin, float value, bool live) {
  if (out.values != nullptr && live) out.values[row * out.stride + begin + lane] = value;
  if (out.codes == nullptr) return;  // the same in all threads
  float largest = warp_max(absolute(value));
  float scale = largest / 127.0f;
  float code = scale > 0 ? round_even(value / scale) : 0.0f;
  if (code != code) code = 0;  // a NaN shows by its block's scale
  int32_t whole = static_cast<int32_t>(code);
  int32_t sum = whole;  // of 16 lanes
  UNROLL
  for (uint32_t step = 8; step > 0; step /= 2) sum += shuffle_xor(sum, step);
  int32_t other = shuffle_xor(sum, 16);
  float nan = value - value;  // NaN where the value is NaN or infinite, else 0
  UNROLL
  for (uint32_t step = 16; step > 0; step /= 2) nan += shuffle_xor(nan, step);
  if (!live) return;
  out.codes[row * out.stride + begin + lane] = static_cast<int8_t>(whole);
  if (lane == 0) {
    Words2 block = {float_bits(scale + nan), (static_cast<uint32_t>(sum) & 0xffffu) | static_cast<uint32_t>(other) << 16};
    reinterpret_cast<GLOBAL Words2*>(out.scales)[(row * out.stride + begin) / 32] = block;
  }
}
