#include "kernels.hpp"

namespace talaria::cpu {

void add_slots(const talaria_add_slots_args& a, const Batch& batch) {
  const talaria_tensor_view& s = view(a.slots);
  int64_t sources = s.shape[0], used = s.shape[2], hidden = s.shape[3];
  int64_t source_stride = s.shape[1] * used * hidden;
  float *x = floats(a.x), *slots = floats(a.slots);
  for (int64_t row = 0; row < batch.rows; row++) {
    for (int64_t k = 0; k < used; k++) {
      for (int64_t i = 0; i < hidden; i++) {
        const float* at = slots + (row * used + k) * hidden + i;
        float slot = at[0];
        for (int64_t source = 1; source < sources; source++) slot += at[source * source_stride];
        x[row * hidden + i] += slot;
      }
    }
  }
}

}  // namespace talaria::cpu
