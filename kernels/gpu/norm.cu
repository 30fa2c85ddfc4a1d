// x = table[token]; norms; slots; rounding. A block of threads per row.
#include "block_reduce.h"
#include "prefetch.h"
#include "values.h"

KERNEL(embed, EmbedArgs, 256) {
  dependency_wait();
  launch_dependents();
  if (!row_in_batch(a.batch, block_x())) return;
  Matrix table = matrix_of(a.table, 0);
  int64_t token = a.batch.token[block_x()];
  for (int64_t i = thread_index(); i < a.table.columns; i += block_threads()) {
    a.x[block_x() * a.table.columns + i] = weight_value(table, a.table.type, token, i);
  }
}

namespace {

// x plus the row's slots in slot order, each the sum over its sources.
DEVICE float add_row_slots(float x, const float* slots, int64_t slot_rows, int32_t sources, int32_t used, int64_t columns,
                           int64_t row, int64_t column) {
  for (int32_t k = 0; k < used; k++) {
    float sum = slots[(row * used + k) * columns + column];
    for (int32_t s = 1; s < sources; s++) sum += slots[((s * slot_rows + row) * used + k) * columns + column];
    x += sum;
  }
  return x;
}

struct NormShared {
  float warps[32];
};

}  // namespace

// Threads of a block go through a row by whole warps, 32 columns each, so that a warp can round a block.
KERNEL(norm, NormArgs, 512) {
  SHARED(NormShared, shared);
  if constexpr (prefetches) {
    if (block_x() == 0 && thread_index() == 0) prefetch_array(a.norm, a.columns * 4);
  }
  dependency_wait();
  launch_dependents();
  int64_t row = block_x();
  if (static_cast<int32_t>(row) >= row_count(a.batch, a.choice)) return;
  int64_t source = a.choice == WANTED_ROWS ? a.batch.wanted_row[row] : row;
  float* x = a.x + source * a.columns;
  float squares = 0;
  for (int64_t i = thread_index(); i < a.columns; i += block_threads()) {
    float value = x[i];
    if (a.slots != nullptr) {  // of the batch's rows alone
      value = add_row_slots(value, a.slots, a.slot_rows, a.sources, a.used, a.columns, source, i);
      x[i] = value;
    }
    squares = fma(value, value, squares);
  }
  float mean = block_sum(squares, shared.warps) / static_cast<float>(a.columns);
  float scale = 1.0f / square_root(mean + a.epsilon);
  for (int64_t begin = 0; begin < a.out.stride; begin += block_threads()) {
    int64_t i = begin + thread_index();
    float value = i < a.columns ? x[i] * scale * a.norm[i] : 0.0f;
    if (a.plain != nullptr && i < a.columns) a.plain[row * a.columns + i] = value;
    bool live = i < a.out.stride;
    store_block(a.out, lane_index(), row, live ? i / 32 * 32 : 0, value, live);
  }
}

KERNEL(add_slots, AddSlotsArgs, 256) {
  dependency_wait();
  launch_dependents();
  if (!row_in_batch(a.batch, block_x())) return;
  for (int64_t i = thread_index(); i < a.columns; i += block_threads()) {
    float* x = a.x + block_x() * a.columns + i;
    *x = add_row_slots(*x, a.slots, a.slot_rows, a.sources, a.used, a.columns, block_x(), i);
  }
}

KERNEL(quantize, QuantizeArgs, 256) {
  dependency_wait();
  launch_dependents();
  if (!row_in_batch(a.batch, block_x())) return;
  for (int64_t begin = 0; begin < a.out.stride; begin += block_threads()) {
    int64_t i = begin + thread_index();
    float value = i < a.columns ? a.rows[block_x() * a.columns + i] : 0.0f;
    bool live = i < a.out.stride;
    store_block(a.out, lane_index(), block_x(), live ? i / 32 * 32 : 0, value, live);
  }
}
