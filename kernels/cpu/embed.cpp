#include "kernels.hpp"

namespace talaria::cpu {

void embed(const talaria_embed_args& a, const Batch& batch) {
  Matrix table(view(a.table));
  float* x = floats(a.x);
  for (int32_t row = 0; row < batch.rows; row++) {
    decode(table.type, table.data + batch.token[row] * table.row_bytes, x + row * table.columns, table.columns);
  }
}

}  // namespace talaria::cpu
