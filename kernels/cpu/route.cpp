#include <cmath>

#include "matmul.hpp"

namespace talaria::cpu {

int64_t route_scratch(const talaria_route_args& a, const talaria_batch_shape& shape) {
  return shape.rows * view(a.router).shape[2] + matmul_scratch(shape.rows, view(a.x).shape[3], 1);
}

void route(const talaria_route_args& a, const Batch& batch, const Context& context) {
  Matrix router(view(a.router));
  int64_t hidden = router.columns, used = view(a.routing).shape[3] / 2;
  float *x = floats(a.x), *h = floats(a.h);
  float* logits = context.scratch;  // [rows][E]
  context.pool.run(batch.rows, [&](int64_t row, int32_t) {
    rms_norm(x + row * hidden, floats(a.norm), a.epsilon, h + row * hidden, hidden);
  });
  matmul({{router, logits}}, h, batch.rows, context, logits + batch.rows * router.rows);

  for (int32_t row = 0; row < batch.rows; row++) {
    float* l = logits + row * router.rows;
    int32_t* ids = ints(a.routing) + row * 2 * used;
    float* weights = reinterpret_cast<float*>(ids + used);
    for (int64_t k = 0; k < used; k++) {
      // The first of the largest: ties go to the lower id. NaN is never larger, so id 0 stands in when all is NaN.
      int32_t best = -1;
      for (int32_t e = 0; e < router.rows; e++) {
        bool taken = false;
        for (int64_t j = 0; j < k; j++) taken |= ids[j] == e;
        if (!taken && (best < 0 || l[e] > l[best] || (std::isnan(l[best]) && !std::isnan(l[e])))) best = e;
      }
      ids[k] = best;
      weights[k] = l[best];
    }
    float sum = 0, largest = weights[0];
    for (int64_t k = 0; k < used; k++) sum += weights[k] = std::exp(weights[k] - largest);
    for (int64_t k = 0; k < used; k++) weights[k] /= sum;
  }
}

}  // namespace talaria::cpu
