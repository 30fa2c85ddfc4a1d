// The cores that a chip is taken to have, for those of the catalogue and for some that are not there yet.
#include "../../native/metal/cores.hpp"

#include <cstdio>

namespace {

int failures = 0;

void expect(const char* name, int32_t cores) {
  int32_t found = talaria::gpu::apple_cores(name);
  std::printf("%s %s: %d cores, expected %d\n", found == cores ? "ok    " : "FAILED", name, found, cores);
  failures += found != cores;
}

}  // namespace

int main() {
  expect("Apple M1", 8);
  expect("Apple M1 Max", 32);
  expect("Apple M2 Pro", 19);
  expect("Apple M2 Max", 38);
  expect("Apple M3 Ultra", 80);
  expect("Apple M7", 8);
  expect("Apple M7 Pro", 16);
  expect("Apple M7 Max", 32);
  expect("Apple Paravirtual device", 8);
  expect("", 8);
  return failures == 0 ? 0 : 1;
}
