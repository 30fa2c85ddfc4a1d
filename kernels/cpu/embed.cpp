#include <vector>

#include "matmul.hpp"

namespace talaria::cpu {

void embed(const talaria_embed_args& a, const Batch& batch, const Context& context) {
  Matrix table(view(a.table));
  float* x = floats(a.x);
  context.pool.run(batch.rows, [&](int64_t row, int32_t) {
    thread_local std::vector<uint8_t> copy;
    copy.resize(static_cast<size_t>(table.row_bytes));
    decode(table.type, table.row(batch.token[row], copy.data()), x + row * table.columns, table.columns);
  });
}

}  // namespace talaria::cpu
