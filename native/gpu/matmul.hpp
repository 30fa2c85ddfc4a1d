// Which kernel computes a product of many rows, and how it is launched (kernels/gpu/matmul.h).
#pragma once

#include "runtime.h"

namespace talaria::gpu {

enum class MatmulOp { PRODUCT, GATE_UP };

// Rows of activations that a block of threads takes, whatever the kernel: lists of tiles are made for as many pairs.
constexpr int32_t matmul_tokens = 64;

struct Matmul {
  Kernel kernel;
  uint32_t threads;
  int64_t weight_rows;  // of the result's columns, how many a block computes
  // A launch is groups x blocks(rows of the weight) blocks of threads. A group: a tile of `matmul_tokens` rows or pairs.
  uint32_t blocks(int64_t rows) const { return static_cast<uint32_t>((rows + weight_rows - 1) / weight_rows); }
};

// For a weight of this type; `int8`: its activations are codes, which plain weights never meet.
Matmul choose_matmul(const Properties& device, MatmulOp op, int32_t type, bool int8);

// Whether tiles are faster than vector kernels, which take four rows at a time: from where a weight would be read a third
// time. `rows`: of activations that meet one matrix.
inline bool matmul_pays(int64_t rows) { return rows > 8; }

// The same for one matrix alone: up to 64 rows, tiles of a small one leave most of a large device idle, each block going
// through all columns by itself, while vector kernels read it again from the L2 cache at full width.
inline bool matmul_pays(const Properties& device, int64_t rows, int64_t weight_rows) {
  return matmul_pays(rows) && (rows > matmul_tokens || weight_rows / 128 * 2 >= device.processors);
}

}  // namespace talaria::gpu
