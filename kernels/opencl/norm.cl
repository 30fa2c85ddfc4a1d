// x = table[token]; norms; slots; rounding. A work-group per row.
#include "rows.clh"
#include "weights.clh"

// Of the tokens whose rows the part of the table holds.
KERNEL(ROW_LANES)
void embed(BATCH_ARGS, int token_at, WEIGHT_ARGS(table), int type, __global float* x) {
  long row = group_x();
  if (row >= row_count(batch, choice, first_wanted)) return;
  Weight t = WEIGHT(table);
  int token = batch[token_at + row] - t.first_row;
  if (token < 0 || token >= t.part_rows) return;
  Matrix m = matrix_of(t, t.first_plane);
  for (int i = lane_index(); i < t.columns; i += ROW_LANES) x[row * t.columns + i] = weight_value(m, type, token, i);
}

// Slots [S][slot_rows][K][H] that are added to a row, in slot order, each the sum over its sources.
#define SLOTS_ARGS __global const float *slots, long slot_rows, int sources, int used

DEVICE float add_row_slots(float x, SLOTS_ARGS, int columns, long row, int column) {
  for (int k = 0; k < used; k++) {
    float sum = slots[(row * used + k) * columns + column];
    for (int s = 1; s < sources; s++) sum += slots[((s * slot_rows + row) * used + k) * columns + column];
    x += sum;
  }
  return x;
}

// x += slots, if there are any (used > 0); then n = rms_norm(x) * norm in the forms that are asked for. Of wanted rows x is
// not changed.
KERNEL(ROW_LANES)
void norm(BATCH_ARGS, int wanted_at, SLOTS_ARGS, __global float* x, __global const float* norm_weight, int columns,
          float epsilon, ROWS_OUT_ARGS) {
  __local float scratch[ROW_LANES];
  long row = group_x();
  if (row >= row_count(batch, choice, first_wanted)) return;
  __global float* from = x + (choice == WANTED_ROWS ? batch[wanted_at + row] : row) * columns;
  float squares = 0;
  for (int i = lane_index(); i < columns; i += ROW_LANES) {
    float value = from[i];
    if (used > 0) from[i] = value = add_row_slots(value, slots, slot_rows, sources, used, columns, row, i);
    squares = multiply_add(value, value, squares);
  }
  float mean = group_sum(squares, scratch) / (float)columns, scale = 1.0f / sqrt(mean + epsilon);
  barrier(CLK_GLOBAL_MEM_FENCE);  // x was written by other lanes than read it now
  RowsOut out = ROWS_OUT;
  for (long begin = lane_index() * 32; begin < out_stride; begin += ROW_LANES * 32) {
    float value[32];
    UNROLL
    for (int i = 0; i < 32; i++) value[i] = begin + i < columns ? from[begin + i] * scale * norm_weight[begin + i] : 0.0f;
    store_block(out, row, begin, value);
  }
}

KERNEL(ROW_LANES)
void add_slots(BATCH_ARGS, SLOTS_ARGS, __global float* x, int columns) {
  long row = group_x();
  if (row >= row_count(batch, choice, first_wanted)) return;
  for (int i = lane_index(); i < columns; i += ROW_LANES) {
    x[row * columns + i] = add_row_slots(x[row * columns + i], slots, slot_rows, sources, used, columns, row, i);
  }
}

KERNEL(ROW_LANES)
void quantize(BATCH_ARGS, __global const float* rows, int columns, ROWS_OUT_ARGS) {
  long row = group_x();
  if (row >= row_count(batch, choice, first_wanted)) return;
  RowsOut out = ROWS_OUT;
  for (long begin = lane_index() * 32; begin < out_stride; begin += ROW_LANES * 32) {
    float value[32];
    UNROLL
    for (int i = 0; i < 32; i++) value[i] = begin + i < columns ? rows[row * columns + begin + i] : 0.0f;
    store_block(out, row, begin, value);
  }
}
