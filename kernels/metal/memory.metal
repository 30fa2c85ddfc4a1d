// Moving bytes: file layouts to device layouts, filling, and reading as fast as can be.
#include "../gpu/launch_args.h"
#include "../gpu/reduce.h"
#include "../gpu/weights.h"
#include "kernel.h"

// Copies bytes [0, count) of every block of a row: block b's lie at source + b * stride, and go to target + b * count. Odd
// addresses and 2-byte fields forbid wider moves; loading is bound by the bus.
DEVICE void copy_field(Place at, const device uint8_t* source, int64_t stride, device uint8_t* target, int64_t count,
                       int64_t blocks) {
  for (int64_t i = at.index; i < blocks * count; i += at.threads) {
    target[i] = source[i / count * stride + i % count];
  }
}

// The same of a K-format's nibbles and of its fifth bits, in groups (weights.h).
DEVICE void copy_nibbles(Place at, const device uint8_t* source, int64_t stride, device uint8_t* target, int64_t blocks) {
  for (int64_t i = at.index; i < blocks * 128; i += at.threads) {
    target[i] = group_nibbles(source + i / 128 * stride, static_cast<uint32_t>(i) % 128);
  }
}
DEVICE void copy_fifth_bits(Place at, const device uint8_t* source, int64_t stride, device uint8_t* target, int64_t blocks) {
  for (int64_t i = at.index; i < blocks * 32; i += at.threads) {
    target[i] = group_fifth_bits(source + i / 32 * stride, static_cast<uint32_t>(i) % 32);
  }
}

// A block of threads per row.
KERNEL(repack, RepackArgs, 256) {
  Place at = HERE;
  int64_t row = a.first_row + at.block.x, within = row % a.rows;
  WeightLayout planes = weight_layout(a.type, a.rows, a.columns);
  device uint8_t* to = a.target + row / a.rows * a.matrix_bytes;
  int64_t blocks = a.columns / 256, n = a.columns;
  switch (a.type) {
    case TALARIA_Q4_0: {
      const device uint8_t* from = a.source + at.block.x * (n / 32 * 18);
      copy_field(at, from, 18, to + planes.second + within * (n / 32 * 2), 2, n / 32);
      copy_field(at, from + 2, 18, to + within * (n / 2), 16, n / 32);
      break;
    }
    case TALARIA_Q8_0: {
      const device uint8_t* from = a.source + at.block.x * (n / 32 * 34);
      copy_field(at, from, 34, to + planes.second + within * (n / 32 * 2), 2, n / 32);
      copy_field(at, from + 2, 34, to + within * n, 32, n / 32);
      break;
    }
    case TALARIA_Q4_K: {
      const device uint8_t* from = a.source + at.block.x * (blocks * 144);
      copy_field(at, from, 144, to + planes.second + within * (blocks * 16), 16, blocks);
      copy_nibbles(at, from + 16, 144, to + within * (n / 2), blocks);
      break;
    }
    case TALARIA_Q5_K: {
      const device uint8_t* from = a.source + at.block.x * (blocks * 176);
      copy_field(at, from, 176, to + planes.third + within * (blocks * 16), 16, blocks);
      copy_fifth_bits(at, from + 16, 176, to + planes.second + within * (n / 8), blocks);
      copy_nibbles(at, from + 48, 176, to + within * (n / 2), blocks);
      break;
    }
    case TALARIA_Q6_K: {
      const device uint8_t* from = a.source + at.block.x * (blocks * 210);
      copy_field(at, from, 210, to + within * (n / 2), 128, blocks);
      copy_field(at, from + 128, 210, to + planes.second + within * (n / 4), 64, blocks);
      copy_field(at, from + 192, 210, to + planes.third + within * (blocks * 16), 16, blocks);
      copy_field(at, from + 208, 210, to + planes.fourth + within * (blocks * 2), 2, blocks);
      break;
    }
    default: {
      int64_t bytes = n * (a.type == TALARIA_F32 ? 4 : 2);
      copy_field(at, a.source + at.block.x * bytes, bytes, to + within * plain_row_bytes(a.type, n), bytes, 1);
    }
  }
}

KERNEL(fill, FillArgs, 256) {
  Place at = HERE;
  int64_t step = static_cast<int64_t>(at.threads) * at.grid.x;
  for (int64_t i = static_cast<int64_t>(at.block.x) * at.threads + at.index; i < a.bytes; i += step) {
    a.target[i] = static_cast<uint8_t>(a.value);
  }
}

// Reads all of it once, four loads of 16 bytes under way per thread; the sums keep the loads from being left out.
KERNEL(read_bandwidth, ReadArgs, 256) {
  Place at = HERE;
  int64_t step = static_cast<int64_t>(at.threads) * at.grid.x, count = a.bytes / 16;
  uint32_t sum = 0;
  for (int64_t i = static_cast<int64_t>(at.block.x) * at.threads + at.index; i < count; i += 4 * step) {
    Words4 words[4];
    UNROLL
    for (int j = 0; j < 4; j++) {
      int64_t piece = i + j * step;
      words[j] = load_once<Words4>(a.source + (piece < count ? piece : i) * 16);
    }
    UNROLL
    for (int j = 0; j < 4; j++) sum += words[j].x ^ words[j].y ^ words[j].z ^ words[j].w;
  }
  UNROLL
  for (uint32_t lanes = 16; lanes > 0; lanes /= 2) sum += shuffle_xor(sum, lanes);
  if (at.lane() == 0) a.sums[static_cast<int64_t>(at.block.x) * (at.threads / 32) + at.warp()] = sum;
}
