#include "matmul.hpp"

#include "../../kernels/common/formats.h"

namespace talaria::gpu {

namespace {

enum class Unit { TILE, MMA, HMMA, MFMA, WMMA };

// The matrix unit that a device has for a mode. It multiplies codes exactly, and float16 by activations rounded to that.
// Other weights would be rounded too, and on a row whose products cancel each other that shows: they meet floats.
Unit unit_of(const Properties& device, int32_t type, bool int8) {
  if (!int8 && type != TALARIA_F16) return Unit::TILE;
  if (device.needs & (int8 ? MMA_INT8 : MMA_F16)) return Unit::MMA;
  if (device.needs & HMMA) return Unit::HMMA;
  if (device.needs & MFMA) return Unit::MFMA;
  if (device.needs & WMMA) return Unit::WMMA;
  return Unit::TILE;
}

#define TALARIA_BY_UNIT(op, format, mode)                         \
  switch (unit) {                                                 \
    case Unit::MMA: return Kernel::op##_##format##_##mode##_mma;  \
    case Unit::HMMA: return Kernel::op##_##format##_##mode##_hmma; \
    case Unit::MFMA: return Kernel::op##_##format##_##mode##_mfma; \
    case Unit::WMMA: return Kernel::op##_##format##_##mode##_wmma; \
    default: return Kernel::op##_##format##_##mode##_tile;        \
  }
#define TALARIA_BY_OP(format, mode)        \
  if (op == MatmulOp::PRODUCT) {           \
    TALARIA_BY_UNIT(product, format, mode) \
  } else {                                 \
    TALARIA_BY_UNIT(gate_up, format, mode) \
  }
#define TALARIA_FLOATS(format) \
  return op == MatmulOp::PRODUCT ? Kernel::product_##format##_half_tile : Kernel::gate_up_##format##_half_tile;
#define TALARIA_BY_MODE(format) \
  if (!int8) TALARIA_FLOATS(format) \
  TALARIA_BY_OP(format, int8)

Kernel kernel_of(MatmulOp op, int32_t type, bool int8, Unit unit) {
  switch (type) {
    case TALARIA_Q4_0: TALARIA_BY_MODE(q4_0)
    case TALARIA_Q8_0: TALARIA_BY_MODE(q8_0)
    case TALARIA_Q4_K: TALARIA_BY_MODE(q4_k)
    case TALARIA_Q5_K: TALARIA_BY_MODE(q5_k)
    case TALARIA_Q6_K: TALARIA_BY_MODE(q6_k)
    case TALARIA_F16: TALARIA_BY_OP(f16, half)
    case TALARIA_BF16: TALARIA_FLOATS(bf16)
    default: TALARIA_FLOATS(f32)
  }
}

}  // namespace

Matmul choose_matmul(const Properties& device, MatmulOp op, int32_t type, bool int8) {
  int8 = int8 && type != TALARIA_F32 && type != TALARIA_F16 && type != TALARIA_BF16;
  Unit unit = unit_of(device, type, int8);
  // Unit::rows of the kernels. Metal's blocks have memory for 64.
  int64_t rows = unit == Unit::TILE && (!int8 || (device.needs & SIMDGROUP) != 0) ? 64 : 128;
  return {kernel_of(op, type, int8, unit), 256, op == MatmulOp::PRODUCT ? rows : rows / 2};
}

}  // namespace talaria::gpu
