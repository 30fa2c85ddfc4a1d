// The launches of attention.
//
// Single rows take attention_split and attention_combine, many at once through scratch of bounded size. Where a step has
// many rows, attention_runs finds runs of rows of one sequence in the batch, and attention_tile, or the kernel of the
// device's matrix unit, works on those, a tile at a time. In batch-invariant mode, and for heads that tiles have no room for, all rows are single ones.
#pragma once

#include <vector>

#include "runtime.h"

namespace talaria::gpu {

struct AttentionShape {
  int32_t rows;       // the step's capacity
  int32_t positions;  // that a sequence may have, by the capacity of its block table
  int32_t heads, kv_heads, head_dim;
  bool batch_invariant;
};

// Of the scratch that append_attention() needs. Layers may share it, as they run one after the other.
int64_t attention_scratch_bytes(const Properties& properties, const AttentionShape& shape);

// Of `args`, the caller fills q, attended, out, kv, batch and scale. `scratch` is 256-byte aligned.
void append_attention(std::vector<Launch>& to, const Properties& properties, const AttentionShape& shape,
                      AttentionArgs args, void* scratch);

}  // namespace talaria::gpu
