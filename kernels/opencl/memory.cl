// Moving bytes: file layouts to device layouts, and reading as fast as can be.
#include "weights.clh"

// Copies bytes [0, count) of every block of a row, a block at a time: block b's lie at source + b * stride, and go to
// target + b * count. Odd addresses and 2-byte fields forbid wider moves; loading is bound by the bus.
DEVICE void copy_field(__global const uchar* source, long stride, __global uchar* target, int count, int blocks) {
  for (int b = lane_index(); b < blocks; b += ROW_LANES) {
    for (int i = 0; i < count; i++) target[(long)b * count + i] = source[b * stride + i];
  }
}

// A work-group per row of the file. Rows of the part are counted over all of its matrices.
KERNEL(ROW_LANES)
void repack(__global const uchar* source, __global uchar* target, long matrix_bytes, long second, long third, long fourth,
            long row_bytes, int columns, int part_rows, long first, int type) {
  long row = first + group_x(), within = row % part_rows;
  __global uchar* to = target + row / part_rows * matrix_bytes;
  int blocks = columns / 256, small = columns / 32;
  switch (type) {
    case TALARIA_Q4_0: {
      __global const uchar* from = source + group_x() * (small * 18L);
      copy_field(from, 18, to + second + within * (small * 2), 2, small);
      copy_field(from + 2, 18, to + within * (columns / 2), 16, small);
      break;
    }
    case TALARIA_Q8_0: {
      __global const uchar* from = source + group_x() * (small * 34L);
      copy_field(from, 34, to + second + within * (small * 2), 2, small);
      copy_field(from + 2, 34, to + within * columns, 32, small);
      break;
    }
    case TALARIA_Q4_K: {
      __global const uchar* from = source + group_x() * (blocks * 144L);
      copy_field(from, 144, to + second + within * (blocks * 16), 16, blocks);
      copy_field(from + 16, 144, to + within * (columns / 2), 128, blocks);
      break;
    }
    case TALARIA_Q5_K: {
      __global const uchar* from = source + group_x() * (blocks * 176L);
      copy_field(from, 176, to + third + within * (blocks * 16), 16, blocks);
      copy_field(from + 16, 176, to + second + within * (columns / 8), 32, blocks);
      copy_field(from + 48, 176, to + within * (columns / 2), 128, blocks);
      break;
    }
    case TALARIA_Q6_K: {
      __global const uchar* from = source + group_x() * (blocks * 210L);
      copy_field(from, 210, to + within * (columns / 2), 128, blocks);
      copy_field(from + 128, 210, to + second + within * (columns / 4), 64, blocks);
      copy_field(from + 192, 210, to + third + within * (blocks * 16), 16, blocks);
      copy_field(from + 208, 210, to + fourth + within * (blocks * 2), 2, blocks);
      break;
    }
    default: {
      int bytes = columns * (type == TALARIA_F32 ? 4 : 2);
      copy_field(source + group_x() * (long)bytes, 2, to + within * row_bytes, 2, bytes / 2);
    }
  }
}

// Reads all of it once, each work-group a stretch; the sums keep the loads from being left out.
KERNEL(ROW_LANES)
void read_bandwidth(__global const uint4* source, __global uint4* sums, long count, long stretch) {
  long begin = group_x() * stretch, end = min(begin + stretch, count);
  uint4 sum = 0;
  for (long i = begin + lane_index(); i < end; i += ROW_LANES) sum ^= source[i];
  sums[group_x() * (long)ROW_LANES + lane_index()] = sum;
}
