// Moving bytes: file layouts to device layouts, filling, and reading as fast as can be.
#include "launch_args.h"
#include "reduce.h"
#include "weights.h"

namespace {

// Copies bytes [0, count) of every block of a row: block b's lie at source + b * stride, and go to target + b * count. Odd
// addresses and 2-byte fields forbid wider moves; loading is bound by the bus.
DEVICE void copy_field(const uint8_t* source, int64_t stride, uint8_t* target, int64_t count, int64_t blocks) {
  for (int64_t i = thread_index(); i < blocks * count; i += block_threads()) {
    target[i] = source[i / count * stride + i % count];
  }
}

// The same of a K-format's nibbles and of its fifth bits, in groups (weights.h).
DEVICE void copy_nibbles(const uint8_t* source, int64_t stride, uint8_t* target, int64_t blocks) {
  for (int64_t i = thread_index(); i < blocks * 128; i += block_threads()) {
    target[i] = group_nibbles(source + i / 128 * stride, static_cast<uint32_t>(i) % 128);
  }
}
DEVICE void copy_fifth_bits(const uint8_t* source, int64_t stride, uint8_t* target, int64_t blocks) {
  for (int64_t i = thread_index(); i < blocks * 32; i += block_threads()) {
    target[i] = group_fifth_bits(source + i / 32 * stride, static_cast<uint32_t>(i) % 32);
  }
}

}  // namespace

// A block of threads per row.
KERNEL(repack, RepackArgs, 256) {
  int64_t row = a.first_row + block_x(), within = row % a.rows;
  WeightLayout at = weight_layout(a.type, a.rows, a.columns);
  uint8_t* to = a.target + row / a.rows * a.matrix_bytes;
  int64_t blocks = a.columns / 256, n = a.columns;
  switch (a.type) {
    case TALARIA_Q4_0: {
      const uint8_t* from = a.source + block_x() * (n / 32 * 18);
      copy_field(from, 18, to + at.second + within * (n / 32 * 2), 2, n / 32);
      copy_field(from + 2, 18, to + within * (n / 2), 16, n / 32);
      break;
    }
    case TALARIA_Q8_0: {
      const uint8_t* from = a.source + block_x() * (n / 32 * 34);
      copy_field(from, 34, to + at.second + within * (n / 32 * 2), 2, n / 32);
      copy_field(from + 2, 34, to + within * n, 32, n / 32);
      break;
    }
    case TALARIA_Q4_K: {
      const uint8_t* from = a.source + block_x() * (blocks * 144);
      copy_field(from, 144, to + at.second + within * (blocks * 16), 16, blocks);
      copy_nibbles(from + 16, 144, to + within * (n / 2), blocks);
      break;
    }
    case TALARIA_Q5_K: {
      const uint8_t* from = a.source + block_x() * (blocks * 176);
      copy_field(from, 176, to + at.third + within * (blocks * 16), 16, blocks);
      copy_fifth_bits(from + 16, 176, to + at.second + within * (n / 8), blocks);
      copy_nibbles(from + 48, 176, to + within * (n / 2), blocks);
      break;
    }
    case TALARIA_Q6_K: {
      const uint8_t* from = a.source + block_x() * (blocks * 210);
      copy_field(from, 210, to + within * (n / 2), 128, blocks);
      copy_field(from + 128, 210, to + at.second + within * (n / 4), 64, blocks);
      copy_field(from + 192, 210, to + at.third + within * (blocks * 16), 16, blocks);
      copy_field(from + 208, 210, to + at.fourth + within * (blocks * 2), 2, blocks);
      break;
    }
    default: {
      int64_t bytes = n * (a.type == TALARIA_F32 ? 4 : 2);
      copy_field(a.source + block_x() * bytes, bytes, to + within * plain_row_bytes(a.type, n), bytes, 1);
    }
  }
}

KERNEL(fill, FillArgs, 256) {
  dependency_wait();
  launch_dependents();
  int64_t step = static_cast<int64_t>(block_threads()) * grid_x();
  for (int64_t i = static_cast<int64_t>(block_x()) * block_threads() + thread_index(); i < a.bytes; i += step) {
    a.target[i] = static_cast<uint8_t>(a.value);
  }
}

// Reads all of it once, four loads of 16 bytes under way per thread; the sums keep the loads from being left out.
KERNEL(read_bandwidth, ReadArgs, 256) {
  int64_t step = static_cast<int64_t>(block_threads()) * grid_x(), count = a.bytes / 16;
  uint32_t sum = 0;
  for (int64_t i = static_cast<int64_t>(block_x()) * block_threads() + thread_index(); i < count; i += 4 * step) {
    Words4 words[4];
    UNROLL
    for (int j = 0; j < 4; j++) {
      int64_t at = i + j * step;
      words[j] = load_once<Words4>(a.source + (at < count ? at : i) * 16);
    }
    UNROLL
    for (int j = 0; j < 4; j++) sum += words[j].x ^ words[j].y ^ words[j].z ^ words[j].w;
  }
  UNROLL
  for (uint32_t lanes = 16; lanes > 0; lanes /= 2) sum += shuffle_xor(sum, lanes);
  if (lane_index() == 0) a.sums[static_cast<int64_t>(block_x()) * (block_threads() / 32) + warp_index()] = sum;
}
