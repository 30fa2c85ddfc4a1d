// Which instruction set this processor has.
#include "simd.hpp"

#include <cstdlib>
#include <string_view>

#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(TALARIA_NEON) && defined(__linux__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

namespace talaria::cpu {

namespace portable {
extern const Simd table;
}
#if defined(__x86_64__)
namespace avx512 {
extern const Simd table;
}
namespace avx_vnni {
extern const Simd table;
}
namespace avx2 {
extern const Simd table;
}
#elif defined(TALARIA_NEON)
namespace neon {
extern const Simd table;
}
#endif

namespace {

#if defined(__x86_64__)
// GCC 11 has no name for it: leaf 7, part 1, EAX bit 4.
bool has_avx_vnni() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid_count(7, 1, &a, &b, &c, &d) != 0 && (a >> 4 & 1) != 0;
}
#endif

#if defined(TALARIA_NEON)
bool has_dot_product() {
#ifdef __linux__
  return (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0;
#else
  return true;  // every Apple M-series
#endif
}
#endif

const Simd& detect() {
  const char* value = std::getenv("TALARIA_CPU");
  std::string_view wanted = value == nullptr ? "" : value;
  if (wanted == "portable") return portable::table;
#if defined(__x86_64__)
  __builtin_cpu_init();
  bool has_avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
  if (!has_avx2) return portable::table;
  bool has_avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                    __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni");
  if (wanted == "avx2") return avx2::table;
  if (has_avx512 && wanted != "avx-vnni") return avx512::table;
  return has_avx_vnni() ? avx_vnni::table : avx2::table;
#elif defined(TALARIA_NEON)
  return has_dot_product() ? neon::table : portable::table;
#else
  return portable::table;
#endif
}

}  // namespace

const Simd& simd() {
  static const Simd& chosen = detect();
  return chosen;
}

}  // namespace talaria::cpu
