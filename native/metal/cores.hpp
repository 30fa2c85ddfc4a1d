// How many cores an Apple GPU has, by its chip's name: Metal does not tell. Plain C++, and so tested anywhere.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>

namespace talaria::gpu {

// Of the families 7 (M1), 8 (M2) and 9 (M3, M4), as Apple sells them. Where a chip comes with fewer cores too, the most: a
// launch for more than there are waits, one for fewer leaves some idle.
struct AppleChip {
  const char* name;
  int32_t cores;
};
constexpr AppleChip apple_chips[] = {
    {"Apple M1", 8},  {"Apple M1 Pro", 16}, {"Apple M1 Max", 32}, {"Apple M1 Ultra", 64},
    {"Apple M2", 10}, {"Apple M2 Pro", 19}, {"Apple M2 Max", 38}, {"Apple M2 Ultra", 76},
    {"Apple M3", 10}, {"Apple M3 Pro", 18}, {"Apple M3 Max", 40}, {"Apple M3 Ultra", 80},
    {"Apple M4", 10}, {"Apple M4 Pro", 20}, {"Apple M4 Max", 40},
};

// A chip that is not in the table is taken for the size of its kind: a later one has rarely fewer cores.
inline int32_t apple_cores(const std::string& name) {
  for (const AppleChip& chip : apple_chips) {
    if (name == chip.name) return chip.cores;
  }
  auto ends = [&](const char* kind) {
    size_t length = std::strlen(kind);
    return name.size() >= length && name.compare(name.size() - length, length, kind) == 0;
  };
  return ends(" Ultra") ? 64 : ends(" Max") ? 32 : ends(" Pro") ? 16 : 8;
}

}  // namespace talaria::gpu
