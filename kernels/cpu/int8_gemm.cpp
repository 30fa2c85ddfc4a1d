// Which instruction set this processor has. TALARIA_CPU=avx2 or portable in the environment takes a lesser one.
#include "int8_gemm.hpp"

#include <cstdlib>
#include <cstring>

namespace talaria::cpu {

#if defined(__x86_64__)
namespace vnni {
PanelProduct panel_product(int32_t type);
void quantise_row(const float* x, int64_t columns, int8_t* q, float* scale, float* sum16);
}  // namespace vnni
namespace avx2 {
PanelProduct panel_product(int32_t type);
void quantise_row(const float* x, int64_t columns, int8_t* q, float* scale, float* sum16);
}  // namespace avx2
#endif

namespace {

enum class Level { portable, avx2, vnni };

Level detect() {
#if defined(__x86_64__)
  const char* wanted = std::getenv("TALARIA_CPU");
  if (wanted != nullptr && std::strcmp(wanted, "portable") == 0) return Level::portable;
  __builtin_cpu_init();
  bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
  bool vnni = avx2 && __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512vl");
  if (wanted != nullptr && std::strcmp(wanted, "avx2") == 0) vnni = false;
  return vnni ? Level::vnni : avx2 ? Level::avx2 : Level::portable;
#else
  return Level::portable;
#endif
}

const Level level = detect();

}  // namespace

PanelProduct panel_product(int32_t type) {
#if defined(__x86_64__)
  if (level == Level::vnni) return vnni::panel_product(type);
  if (level == Level::avx2) return avx2::panel_product(type);
#endif
  (void)type;
  return nullptr;
}

void quantise_row(const float* x, int64_t columns, int8_t* q, float* scale, float* sum16) {
#if defined(__x86_64__)
  if (level == Level::vnni) return vnni::quantise_row(x, columns, q, scale, sum16);
  if (level == Level::avx2) return avx2::quantise_row(x, columns, q, scale, sum16);
#endif
  // Never called: without a panel product there is nobody to take its result.
  (void)x, (void)columns, (void)q, (void)scale, (void)sum16;
}

const char* instruction_set() {
  return level == Level::vnni ? "AVX-512 VNNI" : level == Level::avx2 ? "AVX2" : "portable";
}

}  // namespace talaria::cpu
