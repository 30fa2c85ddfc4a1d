// The micro-benchmark: each op at the shapes of Mixtral 8x7B.
#pragma once

#include "ops.hpp"

namespace ops {

struct BenchOptions {
  bool json = false;
  int64_t megabytes = 512;  // of weights or KV that the ops of a step read together, so that no cache holds them
};
int bench(Session& session, const char* filter, const BenchOptions& options);

}  // namespace ops
