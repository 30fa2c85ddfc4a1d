// What macOS lets a GPU use of the memory that it shares with the processor, in words: plain C++, and so tested anywhere.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <string>

namespace talaria::gpu {

struct WorkingSet {
  int64_t limit;   // bytes that macOS recommends at most (recommendedMaxWorkingSetSize)
  int64_t used;    // of them, by this process
  int64_t memory;  // of the Mac
};

// Why `bytes` more for `what` are refused, and what can be done about it. The limit can be raised by hand, until the next
// start, by all but what the system needs: how much more is to come is not known here.
inline std::string refusal(const WorkingSet& set, const char* what, int64_t bytes) {
  constexpr int64_t mib = 1 << 20, for_the_system = int64_t{3} << 30;
  int64_t most = set.memory - for_the_system;
  char text[512];
  int length = snprintf(text, sizeof text, "%s needs %.1f MB, and of the %.2f GB that macOS lets this GPU use %.2f GB are free. ",
                        what, static_cast<double>(bytes) / 1e6, static_cast<double>(set.limit) / 1e9,
                        static_cast<double>(std::max<int64_t>(set.limit - set.used, 0)) / 1e9);
  char* rest = text + length;
  size_t left = sizeof text - static_cast<size_t>(length);
  if (most > set.limit && set.used + bytes <= most) {
    snprintf(rest, left,
             "'sudo sysctl iogpu.wired_limit_mb=%lld' lets it use %.2f GB more of this Mac's memory, until the next start; "
             "or use a shorter context or a smaller quantisation",
             static_cast<long long>(most / mib), static_cast<double>(most - set.limit) / 1e9);
  } else {
    snprintf(rest, left, "This Mac's memory, %.1f GB, is not enough; use a shorter context or a smaller quantisation",
             static_cast<double>(set.memory) / 1e9);
  }
  return text;
}

}  // namespace talaria::gpu
