#include "matmul.hpp"

#include "../../kernels/common/formats.h"

namespace talaria::gpu {

namespace {

enum class Unit { TILE, MMA, MFMA, WMMA };

// The matrix unit that a device has for a mode. F32 weights would lose digits on any.
Unit unit_of(const Properties& device, int32_t type, bool int8) {
  if (type == TALARIA_F32) return Unit::TILE;
  (void)device, (void)int8;
  return Unit::TILE;
}

#define TALARIA_QUANTISED(op, mode, unit)                      \
  switch (type) {                                              \
    case TALARIA_Q4_0: return Kernel::op##_q4_0_##mode##_##unit; \
    case TALARIA_Q8_0: return Kernel::op##_q8_0_##mode##_##unit; \
    case TALARIA_Q4_K: return Kernel::op##_q4_k_##mode##_##unit; \
    case TALARIA_Q5_K: return Kernel::op##_q5_k_##mode##_##unit; \
    case TALARIA_Q6_K: return Kernel::op##_q6_k_##mode##_##unit; \
    default: break;                                            \
  }
#define TALARIA_PLAIN(op, unit)                               \
  switch (type) {                                             \
    case TALARIA_F16: return Kernel::op##_f16_half_##unit;    \
    case TALARIA_BF16: return Kernel::op##_bf16_half_##unit;  \
    default: break;                                           \
  }
#define TALARIA_BOTH(mode, unit)                        \
  if (op == MatmulOp::PRODUCT) {                        \
    TALARIA_QUANTISED(product, mode, unit)              \
  } else {                                              \
    TALARIA_QUANTISED(gate_up, mode, unit)              \
  }

Kernel int8_kernel(MatmulOp op, int32_t type, Unit) {
  TALARIA_BOTH(int8, tile)
  return Kernel::count;
}

Kernel half_kernel(MatmulOp op, int32_t type, Unit) {
  TALARIA_BOTH(half, tile)
  if (op == MatmulOp::PRODUCT) {
    TALARIA_PLAIN(product, tile)
    return Kernel::product_f32_half_tile;
  }
  TALARIA_PLAIN(gate_up, tile)
  return Kernel::gate_up_f32_half_tile;
}

}  // namespace

Matmul choose_matmul(const Properties& device, MatmulOp op, int32_t type, bool int8) {
  Unit unit = unit_of(device, type, int8);
  int64_t rows = unit == Unit::TILE && !int8 ? 64 : 128;
  return {int8 ? int8_kernel(op, type, unit) : half_kernel(op, type, unit), 256, op == MatmulOp::PRODUCT ? rows : rows / 2};
}

}  // namespace talaria::gpu
