#include "attention.hpp"

#include <algorithm>

#include "../../kernels/gpu/weights.h"

namespace talaria::gpu {

namespace {

// Small enough that a short text keeps all processors busy, large enough that the partial results are few.
constexpr int32_t split_positions = 128;
static_assert(split_positions <= ATTENTION_MOST_POSITIONS);
constexpr int64_t most_partial_bytes = int64_t{64} << 20;
constexpr int32_t least_tiled_rows = 9;  // a step of fewer rows has single ones only
constexpr uint32_t more_tiles = 64;      // than rows / tile_rows that a launch has blocks for

// A kernel that works on tiles.
struct TileKernel {
  Kernel kernel;
  int32_t queries;
  uint32_t threads;
};

// The device's matrix unit takes caches of halves and of codes, and heads of whole steps of its depth.
TileKernel tile_kernel_of(const Properties& properties, const AttentionShape& shape, int32_t kv_type) {
  if (kv_type != TALARIA_F32 && shape.head_dim % 16 == 0) {
    if ((properties.needs & MMA_F16) != 0) return {Kernel::attention_mma, ATTENTION_MMA_QUERIES, 128};
    if ((properties.needs & HMMA) != 0) return {Kernel::attention_hmma, ATTENTION_MMA_QUERIES, 128};
    if ((properties.needs & MFMA) != 0) return {Kernel::attention_mfma, ATTENTION_MMA_QUERIES, 256};
    if ((properties.needs & WMMA) != 0) return {Kernel::attention_wmma, ATTENTION_MMA_QUERIES, 128};
  }
  return {Kernel::attention_tile, ATTENTION_TILE_QUERIES, 128};
}

struct Plan {
  int32_t splits;
  int32_t block_heads;   // of single rows and of tiles
  int32_t most_single;   // rows that there is scratch for at once
  bool tiles;
  int32_t tile_rows;
  TileKernel tile_kernel;
  int64_t partial_bytes, run_bytes;
};

Plan plan_of(const Properties& properties, const AttentionShape& shape, int32_t kv_type) {
  if (shape.head_dim > ATTENTION_MOST_DIM) {
    throw Fault{TALARIA_UNSUPPORTED, "heads of " + std::to_string(shape.head_dim) + " values: attention has room for " +
                                         std::to_string(int{ATTENTION_MOST_DIM})};
  }
  Plan plan{};
  int32_t group = shape.heads / shape.kv_heads;
  plan.splits = (shape.positions + split_positions - 1) / split_positions;
  plan.block_heads = shape.head_dim % 8 != 0 || group == 1 ? 1 : group == 2 ? 2 : 4;
  int64_t row_bytes = int64_t{plan.splits} * shape.heads * (2 + shape.head_dim) * int64_t{sizeof(float)};
  int64_t most = std::clamp<int64_t>(most_partial_bytes / row_bytes, 2, 32768) / 2 * 2;
  plan.most_single = static_cast<int32_t>(std::min<int64_t>(most, talaria_round_up(shape.rows, 2)));
  plan.partial_bytes = talaria_round_up(plan.most_single * row_bytes, 256);
  plan.tiles = !shape.batch_invariant && shape.rows >= least_tiled_rows && shape.head_dim % 8 == 0 &&
               shape.head_dim <= ATTENTION_TILE_MOST_DIM;
  if (!plan.tiles) return plan;
  plan.tile_kernel = tile_kernel_of(properties, shape, kv_type);
  plan.tile_rows = plan.tile_kernel.queries / plan.block_heads;
  plan.run_bytes = talaria_round_up((2 + plan.most_single + 2 * int64_t{shape.rows}) * 4, 256);
  return plan;
}

uint32_t columns_blocks(int64_t columns) { return static_cast<uint32_t>((columns + 31) / 32); }

void append(std::vector<Launch>& to, const Properties& properties, Launch launch) {
  launch.dependent = properties.dependent_launch;
  to.push_back(launch);
}

// Single rows, of the batch or of args.runs.
void append_single(std::vector<Launch>& to, const Properties& properties, const AttentionShape& shape,
                   const AttentionArgs& args, uint32_t rows) {
  int32_t group = shape.heads / shape.kv_heads;
  uint32_t head_blocks = static_cast<uint32_t>(shape.kv_heads * ((group + args.block_heads - 1) / args.block_heads));
  uint32_t splits = static_cast<uint32_t>(args.splits);
  append(to, properties, Launch::of(Kernel::attention_split, splits, head_blocks, rows, 128, args));
  uint32_t columns = columns_blocks(int64_t{shape.heads} * shape.head_dim);
  append(to, properties, Launch::of(Kernel::attention_combine, columns, rows, 1, 128, args));
}

void append_tiles(std::vector<Launch>& to, const Properties& properties, const AttentionShape& shape, const Plan& plan,
                  const AttentionArgs& args) {
  append(to, properties, Launch::of(Kernel::attention_runs, 1, 1, 1, 256, args));
  append_single(to, properties, shape, args, static_cast<uint32_t>(plan.most_single));
  int32_t group = shape.heads / shape.kv_heads;
  uint32_t head_blocks = static_cast<uint32_t>(shape.kv_heads * ((group + plan.block_heads - 1) / plan.block_heads));
  uint32_t rows = static_cast<uint32_t>(shape.rows);
  uint32_t tiles = std::min(rows, rows / static_cast<uint32_t>(plan.tile_rows) + more_tiles);
  append(to, properties, Launch::of(plan.tile_kernel.kernel, tiles, head_blocks, 1, plan.tile_kernel.threads, args));
  if (args.out.values == nullptr && args.out.codes == nullptr) return;
  QuantizeArgs quantize{args.attended, args.out, args.batch, int64_t{shape.heads} * shape.head_dim};
  append(to, properties, Launch::of(Kernel::quantize, rows, 1, 1, 256, quantize));
}

}  // namespace

int64_t attention_scratch_bytes(const Properties& properties, const AttentionShape& shape) {
  Plan plan = plan_of(properties, shape, TALARIA_F32);  // for every type the same bytes
  return plan.partial_bytes + plan.run_bytes;
}

void append_attention(std::vector<Launch>& to, const Properties& properties, const AttentionShape& shape,
                      AttentionArgs args, void* scratch) {
  Plan plan = plan_of(properties, shape, args.kv.type);
  args.partial = static_cast<float*>(scratch);
  args.heads = shape.heads;
  args.splits = plan.splits;
  args.split_positions = split_positions;
  args.block_heads = plan.block_heads;
  args.first_row = 0;
  args.runs = AttentionRuns{};
  if (plan.tiles) {
    auto* words = reinterpret_cast<int32_t*>(static_cast<uint8_t*>(scratch) + plan.partial_bytes);
    args.runs = AttentionRuns{words, plan.tile_rows, plan.most_single};
    append_tiles(to, properties, shape, plan, args);
    return;
  }
  for (; args.first_row < shape.rows; args.first_row += plan.most_single) {
    int32_t rows = std::min(plan.most_single, shape.rows - args.first_row);
    append_single(to, properties, shape, args, static_cast<uint32_t>(rows));
  }
}

}  // namespace talaria::gpu
