// What differs between CUDA, HIP, the emulator and Metal: the only file with #ifdef for them, but for the words of spaces.h.
//
// Kernels are written for logical warps of 32 lanes, on hardware warps of 32 or 64: every thread of a block reaches every
// barrier and every shuffle (clamp the row, guard the store). Nothing here needs a vendor's header or library, so that a
// kernel is also compiled where there is none, and computes the same bits wherever float32 is IEEE: products and sums
// are contracted nowhere (-fmad=false, -ffp-contract=off) but where fma() says so.
#pragma once

#include "spaces.h"

#if !defined(__METAL_VERSION__)
struct alignas(16) Words4 {
  uint32_t x, y, z, w;
};
struct alignas(8) Words2 {
  uint32_t x, y;
};
struct alignas(16) Floats4 {
  float x, y, z, w;
};
#endif

// A kernel that a step launches begins with dependency_wait(), before it reads or writes what other kernels do: it may have
// been started while the one before it ends (programmatic dependent launch). launch_dependents() lets the next one start so.
// prefetch(): bytes of device memory that will be read soon come into the second cache, where a device can be asked for that
// (`prefetches`); it is a hint, and may come before dependency_wait() for what no launch writes.
// load_system(), store_system(), system_fence(): of memory that the host and other devices read and write meanwhile.
// load_once(), load_again(): of memory that no launch writes, which is read once, or by other lanes and later turns too.
// keep(): an address that has been computed stays in a register, where a compiler would compute it anew in a loop.
// in_order(): what comes behind it is not begun before it, as that would take more registers than there are.
#if defined(__METAL_VERSION__)
// ---- Metal: for those headers of this folder that kernels/metal includes; kernel.h there has the rest -----------------
// A thread knows where it is by its kernel's parameters alone, so whoever needs that is handed it.
using namespace metal;  // with fma() in it

#if __METAL_VERSION__ >= 320
#pragma METAL fp math_mode(safe)
#pragma METAL fp contract(off)
#else
#pragma clang fp contract(off)
#endif

#define DEVICE static inline __attribute__((always_inline))
#define DEVICE_MEMBER inline __attribute__((always_inline))
#define UNROLL _Pragma("clang loop unroll(full)")

typedef uint4 Words4;
typedef uint2 Words2;
typedef float4 Floats4;

// Macros, so that the emulator is told where each of them is called.
#define barrier() threadgroup_barrier(mem_flags::mem_device | mem_flags::mem_threadgroup)
#define shuffle_xor(value, mask) simd_shuffle_xor(value, static_cast<ushort>(mask))
#define shuffle(value, lane) simd_shuffle(value, static_cast<ushort>((lane) & 31))

// In block memory. Used for counts alone: sums of floats have a fixed order.
DEVICE uint32_t atomic_add(threadgroup uint32_t* address, uint32_t value) {
  return atomic_fetch_add_explicit(reinterpret_cast<threadgroup atomic_uint*>(address), value, memory_order_relaxed);
}
DEVICE void in_order() {}
DEVICE void keep(const device uint8_t*) {}
// There is no instruction for it.
DEVICE int32_t dot4(uint32_t a, uint32_t b, int32_t sum) {
  int4 product = int4(as_type<char4>(a)) * int4(as_type<char4>(b));
  return sum + product.x + product.y + product.z + product.w;
}
DEVICE uint32_t float_bits(float f) { return as_type<uint>(f); }
DEVICE float bits_float(uint32_t bits) { return as_type<float>(bits); }
DEVICE float half_to_float(uint16_t h) { return static_cast<float>(as_type<half>(h)); }
DEVICE uint16_t float_to_half(float f) { return as_type<ushort>(static_cast<half>(f)); }
DEVICE float square_root(float a) { return precise::sqrt(a); }
DEVICE float round_even(float a) { return rint(a); }
DEVICE float absolute(float a) { return fabs(a); }
template <typename Words>
DEVICE Words load_once(const device void* address) {
  return *static_cast<const device Words*>(address);
}
template <typename Value>
DEVICE Value load_again(const device void* address) {
  return *static_cast<const device Value*>(address);
}

#elif defined(TALARIA_SIMT)
// ---- the emulator ----------------------------------------------------------------------------------------------------
#include <cmath>
#include <cstring>

#include "../../tests/simt/simt.hpp"

#define DEVICE static inline
#define DEVICE_MEMBER inline
#define UNROLL
#define LANES ::talaria::simt::lanes
// A kernel: KERNEL(name, Args, threads) { body, with the args struct as `a` }
#define KERNEL(name, Args, threads)                                                                                        \
  static void name##_body(const Args& a);                                                                                  \
  static const ::talaria::simt::Registration name##_registration(                                                          \
      #name, [](const void* args) { name##_body(*static_cast<const Args*>(args)); }, sizeof(Args), threads);               \
  static void name##_body(const Args& a)
// The same, with registers rationed so that so many of its blocks fit a processor at once.
#define KERNEL_OF_BLOCKS(name, Args, threads, blocks) KERNEL(name, Args, threads)
// The same on NVIDIA's GPUs from sm_90 on, whose memory takes the most warps to keep busy; elsewhere a KERNEL.
#define KERNEL_RESIDENT(name, Args, threads, blocks) KERNEL(name, Args, threads)
// The same, with as many registers as it needs, where a compiler would rather have it spill.
#define KERNEL_UNRATIONED(name, Args, threads) KERNEL(name, Args, threads)
// The same on every GPU: of a kernel with many formats in it, nvcc 13.0 is too sparing everywhere.
#define KERNEL_OF_MANY(name, Args, threads) KERNEL(name, Args, threads)
// Memory that the threads of a block share; contents undefined. One of the two per kernel.
#define SHARED(Type, name) Type& name = *static_cast<Type*>(::talaria::simt::shared(sizeof(Type)))
#define DYNAMIC_SHARED(Type, name) SHARED(Type, name)

DEVICE uint32_t thread_index() { return ::talaria::simt::thread(); }
DEVICE uint32_t block_threads() { return ::talaria::simt::block_threads(); }
DEVICE uint32_t block_x() { return ::talaria::simt::block(0); }
DEVICE uint32_t block_y() { return ::talaria::simt::block(1); }
DEVICE uint32_t block_z() { return ::talaria::simt::block(2); }
DEVICE uint32_t grid_x() { return ::talaria::simt::grid(0); }
// Each says where it is called, so that threads which wait at different places are told apart.
DEVICE void barrier(TALARIA_SIMT_PLACE) { ::talaria::simt::barrier(file, line); }
DEVICE void warp_barrier(TALARIA_SIMT_PLACE) { ::talaria::simt::warp_barrier(file, line); }
template <typename T>
DEVICE T shuffle_xor(T value, uint32_t mask, TALARIA_SIMT_PLACE) {
  return ::talaria::simt::shuffle(value, (thread_index() & 31) ^ mask, file, line);
}
template <typename T>
DEVICE T shuffle(T value, uint32_t lane, TALARIA_SIMT_PLACE) {
  return ::talaria::simt::shuffle(value, lane, file, line);
}
DEVICE void dependency_wait() {}
DEVICE void launch_dependents() {}
constexpr bool prefetches = true;
DEVICE void prefetch(const uint8_t* address, uint32_t bytes) { ::talaria::simt::prefetch(address, bytes); }
DEVICE uint32_t load_system(const uint32_t* address) { return __atomic_load_n(address, __ATOMIC_RELAXED); }
DEVICE void store_system(uint32_t* address, uint32_t value) { __atomic_store_n(address, value, __ATOMIC_RELAXED); }
DEVICE void system_fence() { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
DEVICE uint64_t clock_ticks() { return ::talaria::simt::nanoseconds(); }
constexpr uint64_t ticks_per_ms = 1000000;
DEVICE void pause_before_look(uint32_t look) { ::talaria::simt::pause(look); }
// In block memory. Used for counts alone: sums of floats have a fixed order.
DEVICE uint32_t atomic_add(uint32_t* address, uint32_t value) {
  uint32_t before = *address;
  *address = before + value;
  return before;
}

DEVICE void in_order() {}
DEVICE void keep(const uint8_t*) {}
DEVICE int32_t dot4(uint32_t a, uint32_t b, int32_t sum) {
  uint32_t total = static_cast<uint32_t>(sum);  // modulo 2^32, as on hardware
  for (int i = 0; i < 4; i++) {
    total += static_cast<uint32_t>(static_cast<int8_t>(a >> 8 * i) * static_cast<int8_t>(b >> 8 * i));
  }
  return static_cast<int32_t>(total);
}
DEVICE uint32_t float_bits(float f) {
  uint32_t bits;
  std::memcpy(&bits, &f, 4);
  return bits;
}
DEVICE float bits_float(uint32_t bits) {
  float f;
  std::memcpy(&f, &bits, 4);
  return f;
}
// By integers: what compilers call for _Float16 is several times slower, and not everywhere.
DEVICE float half_to_float(uint16_t h) {
  float f = bits_float((h & 0x7fffu) << 13) * 0x1p112f;  // exact, of what is subnormal in half too
  uint32_t special = (h & 0x7c00u) == 0x7c00u ? 0x7f800000u : 0;
  return bits_float(float_bits(f) | special | (h & 0x8000u) << 16);
}
DEVICE uint16_t float_to_half(float f) {
  uint32_t sign = float_bits(f) >> 16 & 0x8000u, bits = float_bits(f) & 0x7fffffffu;
  if (bits > 0x7f800000u) return static_cast<uint16_t>(sign | 0x7fffu);
  if (bits >= 0x47800000u) return static_cast<uint16_t>(sign | 0x7c00u);  // from 65536 on
  if (bits < 0x38800000u) {                                               // below 2^-14: a multiple of 2^-24
    float aligned = bits_float(bits) + 0.5f;                              // whose last bit is worth that much
    return static_cast<uint16_t>(sign | (float_bits(aligned) - 0x3f000000u));
  }
  bits += 0xfffu + (bits >> 13 & 1);  // to nearest, to even
  return static_cast<uint16_t>(sign | ((bits - 0x38000000u) >> 13));
}
DEVICE float fma(float a, float b, float c) { return std::fma(a, b, c); }
DEVICE float square_root(float a) { return std::sqrt(a); }
DEVICE float round_even(float a) { return std::nearbyint(a); }
DEVICE float absolute(float a) { return std::fabs(a); }
// Weights are read once: they need not push others out of the caches.
template <typename Words>
DEVICE Words load_once(const void* address) {
  Words words;
  if (reinterpret_cast<uintptr_t>(address) % alignof(Words) != 0) ::talaria::simt::misaligned(address);
  std::memcpy(&words, address, sizeof words);
  return words;
}
template <typename Value>
DEVICE Value load_again(const void* address) {
  return load_once<Value>(address);
}

#elif defined(__CUDA__) || defined(__CUDACC__)
// ---- CUDA: nvcc, or clang without NVIDIA's headers ------------------------------------------------------------------
#if defined(__clang__) && !defined(__CUDACC_VER_MAJOR__)
#define __global__ __attribute__((global))
#define __device__ __attribute__((device))
#define __shared__ __attribute__((shared))
#define __launch_bounds__(...) __attribute__((launch_bounds(__VA_ARGS__)))
#define __forceinline__ __attribute__((always_inline)) inline
#define TALARIA_SREG(name) __nvvm_read_ptx_sreg_##name()
#else
#define TALARIA_SREG_tid_x threadIdx.x
#define TALARIA_SREG_ntid_x blockDim.x
#define TALARIA_SREG_ctaid_x blockIdx.x
#define TALARIA_SREG_ctaid_y blockIdx.y
#define TALARIA_SREG_ctaid_z blockIdx.z
#define TALARIA_SREG_nctaid_x gridDim.x
#define TALARIA_SREG(name) TALARIA_SREG_##name
#endif
#define DEVICE static __device__ __forceinline__
#define DEVICE_MEMBER __device__ __forceinline__
#define UNROLL _Pragma("unroll")
#define LANES 32
// A kernel's symbol is talaria_NAME: nvcc has functions such as norm() of its own.
#define KERNEL(name, Args, threads) extern "C" __global__ void __launch_bounds__(threads) talaria_##name(const Args a)
#if defined(__CUDA_ARCH__) && (__CUDA_ARCH__ >= 1200 || __CUDA_ARCH__ == 800)  // nvcc 13.0 gives these less than it does others
#define KERNEL_UNRATIONED(name, Args, threads) KERNEL_OF_BLOCKS(name, Args, threads, 1)
#else
#define KERNEL_UNRATIONED(name, Args, threads) KERNEL(name, Args, threads)
#endif
#define KERNEL_OF_MANY(name, Args, threads) KERNEL_OF_BLOCKS(name, Args, threads, 1)
#define KERNEL_OF_BLOCKS(name, Args, threads, blocks) \
  extern "C" __global__ void __launch_bounds__(threads, blocks) talaria_##name(const Args a)
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
#define KERNEL_RESIDENT(name, Args, threads, blocks) KERNEL_OF_BLOCKS(name, Args, threads, blocks)
#else
#define KERNEL_RESIDENT(name, Args, threads, blocks) KERNEL(name, Args, threads)
#endif
#define SHARED(Type, name) __shared__ Type name
#define DYNAMIC_SHARED(Type, name)                                              \
  extern __shared__ __attribute__((aligned(16))) unsigned char talaria_shared[]; \
  Type& name = *reinterpret_cast<Type*>(talaria_shared)

DEVICE uint32_t thread_index() { return TALARIA_SREG(tid_x); }
DEVICE uint32_t block_threads() { return TALARIA_SREG(ntid_x); }
DEVICE uint32_t block_x() { return TALARIA_SREG(ctaid_x); }
DEVICE uint32_t block_y() { return TALARIA_SREG(ctaid_y); }
DEVICE uint32_t block_z() { return TALARIA_SREG(ctaid_z); }
DEVICE uint32_t grid_x() { return TALARIA_SREG(nctaid_x); }
DEVICE void barrier() { asm volatile("barrier.sync 0;" ::: "memory"); }
DEVICE void warp_barrier() { asm volatile("bar.warp.sync 0xffffffff;" ::: "memory"); }
DEVICE uint32_t shuffle_word(uint32_t value, uint32_t lane) {
  uint32_t result;
  asm volatile("shfl.sync.idx.b32 %0, %1, %2, 0x1f, 0xffffffff;" : "=r"(result) : "r"(value), "r"(lane));
  return result;
}
DEVICE uint32_t shuffle_xor_word(uint32_t value, uint32_t mask) {
  uint32_t result;
  asm volatile("shfl.sync.bfly.b32 %0, %1, %2, 0x1f, 0xffffffff;" : "=r"(result) : "r"(value), "r"(mask));
  return result;
}
DEVICE void dependency_wait() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}
DEVICE void launch_dependents() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900 && __CUDACC_VER_MAJOR__ >= 12
constexpr bool prefetches = true;
DEVICE void prefetch(const uint8_t* address, uint32_t bytes) {  // both multiples of 16
  asm volatile("cp.async.bulk.prefetch.L2.global [%0], %1;" ::"l"(address), "r"(bytes));
}
#else
constexpr bool prefetches = false;
DEVICE void prefetch(const uint8_t*, uint32_t) {}
#endif
DEVICE uint32_t load_system(const uint32_t* address) {
  uint32_t result;
  asm volatile("ld.relaxed.sys.global.u32 %0, [%1];" : "=r"(result) : "l"(address) : "memory");
  return result;
}
DEVICE void store_system(uint32_t* address, uint32_t value) {
  asm volatile("st.relaxed.sys.global.u32 [%0], %1;" ::"l"(address), "r"(value) : "memory");
}
DEVICE void system_fence() { asm volatile("fence.sc.sys;" ::: "memory"); }
DEVICE uint64_t clock_ticks() {
  uint64_t result;
  asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(result));
  return result;
}
constexpr uint64_t ticks_per_ms = 1000000;
DEVICE void pause_before_look(uint32_t) { asm volatile("nanosleep.u32 20;"); }
DEVICE void in_order() {}
DEVICE void keep(const uint8_t*& address) { asm("" : "+l"(address)); }
DEVICE int32_t dot4(uint32_t a, uint32_t b, int32_t sum) {
  int32_t result;
  asm("dp4a.s32.s32 %0, %1, %2, %3;" : "=r"(result) : "r"(a), "r"(b), "r"(sum));
  return result;
}
DEVICE float half_to_float(uint16_t h) {
  float result;
  asm("cvt.f32.f16 %0, %1;" : "=f"(result) : "h"(h));
  return result;
}
DEVICE uint16_t float_to_half(float f) {
  uint16_t result;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(result) : "f"(f));
  return result;
}
#if defined(__clang__) && !defined(__CUDACC_VER_MAJOR__)
DEVICE float fma(float a, float b, float c) {
  float result;
  asm("fma.rn.f32 %0, %1, %2, %3;" : "=f"(result) : "f"(a), "f"(b), "f"(c));
  return result;
}
#endif  // nvcc has this function, under this name, from the start
DEVICE float square_root(float a) {
  float result;
  asm("sqrt.rn.f32 %0, %1;" : "=f"(result) : "f"(a));
  return result;
}
DEVICE float round_even(float a) {
  float result;
  asm("cvt.rni.f32.f32 %0, %1;" : "=f"(result) : "f"(a));
  return result;
}
DEVICE float absolute(float a) {
  float result;
  asm("abs.f32 %0, %1;" : "=f"(result) : "f"(a));
  return result;
}
DEVICE uint32_t float_bits(float f) {
  uint32_t bits;
  asm("mov.b32 %0, %1;" : "=r"(bits) : "f"(f));
  return bits;
}
DEVICE float bits_float(uint32_t bits) {
  float f;
  asm("mov.b32 %0, %1;" : "=f"(f) : "r"(bits));
  return f;
}
// In block memory. Used for counts alone: sums of floats have a fixed order.
DEVICE uint32_t atomic_add(uint32_t* address, uint32_t value) {
  uint32_t before;
  asm volatile("atom.add.u32 %0, [%1], %2;" : "=r"(before) : "l"(address), "r"(value) : "memory");
  return before;
}
template <typename Words>
DEVICE Words load_once(const void* address) {
  Words words;
  if constexpr (sizeof(Words) == 16) {
    asm volatile("ld.global.nc.L1::no_allocate.v4.u32 {%0, %1, %2, %3}, [%4];"
                 : "=r"(words.x), "=r"(words.y), "=r"(words.z), "=r"(words.w)
                 : "l"(address));
  } else if constexpr (sizeof(Words) == 8) {
    asm volatile("ld.global.nc.L1::no_allocate.v2.u32 {%0, %1}, [%2];" : "=r"(words.x), "=r"(words.y) : "l"(address));
  } else {
    static_assert(sizeof(Words) == 4);
    asm volatile("ld.global.nc.L1::no_allocate.u32 %0, [%1];" : "=r"(words) : "l"(address));
  }
  return words;
}
template <typename Value>
DEVICE Value load_again(const void* address) {
  if constexpr (sizeof(Value) == 16) {
    Words4 words;
    asm("ld.global.nc.v4.u32 {%0, %1, %2, %3}, [%4];"
        : "=r"(words.x), "=r"(words.y), "=r"(words.z), "=r"(words.w)
        : "l"(address));
    return words;
  } else if constexpr (sizeof(Value) == 4) {
    uint32_t word;
    asm("ld.global.nc.u32 %0, [%1];" : "=r"(word) : "l"(address));
    return word;
  } else if constexpr (sizeof(Value) == 2) {
    uint16_t half;
    asm("ld.global.nc.u16 %0, [%1];" : "=h"(half) : "l"(address));
    return half;
  } else {
    int32_t byte;
    asm("ld.global.nc.s8 %0, [%1];" : "=r"(byte) : "l"(address));
    return static_cast<Value>(byte);
  }
}

#else
// ---- HIP: clang without AMD's headers and device libraries -----------------------------------------------------------
#define __global__ __attribute__((global))
#define __device__ __attribute__((device))
#define __shared__ __attribute__((shared))
#define DEVICE static __device__ __attribute__((always_inline)) inline
#define DEVICE_MEMBER __device__ __attribute__((always_inline)) inline
#define UNROLL _Pragma("unroll")
#define LANES __builtin_amdgcn_wavefrontsize()
#define KERNEL(name, Args, threads)                                                                          \
  extern "C" __global__ void __attribute__((amdgpu_flat_work_group_size(1, threads))) talaria_##name(const Args a)
#define KERNEL_UNRATIONED(name, Args, threads) KERNEL(name, Args, threads)
#define KERNEL_OF_BLOCKS(name, Args, threads, blocks)                                                        \
  extern "C" __global__ void __attribute__((amdgpu_flat_work_group_size(1, threads), amdgpu_waves_per_eu(blocks))) \
  talaria_##name(const Args a)
#define KERNEL_RESIDENT(name, Args, threads, blocks) KERNEL(name, Args, threads)
#define KERNEL_OF_MANY(name, Args, threads) KERNEL_UNRATIONED(name, Args, threads)
#define SHARED(Type, name) __shared__ Type name
#define DYNAMIC_SHARED(Type, name)                                              \
  extern __shared__ __attribute__((aligned(16))) unsigned char talaria_shared[]; \
  Type& name = *reinterpret_cast<Type*>(talaria_shared)

#include "xor_lanes.h"

DEVICE uint32_t thread_index() { return __builtin_amdgcn_workitem_id_x(); }
DEVICE uint32_t block_threads() { return __builtin_amdgcn_workgroup_size_x(); }
DEVICE uint32_t block_x() { return __builtin_amdgcn_workgroup_id_x(); }
DEVICE uint32_t block_y() { return __builtin_amdgcn_workgroup_id_y(); }
DEVICE uint32_t block_z() { return __builtin_amdgcn_workgroup_id_z(); }
DEVICE uint32_t grid_x() { return __builtin_amdgcn_grid_size_x() / __builtin_amdgcn_workgroup_size_x(); }
DEVICE void barrier() {
  __builtin_amdgcn_fence(__ATOMIC_RELEASE, "workgroup");
  __builtin_amdgcn_s_barrier();
  __builtin_amdgcn_fence(__ATOMIC_ACQUIRE, "workgroup");
}
DEVICE void warp_barrier() {
  __builtin_amdgcn_fence(__ATOMIC_RELEASE, "wavefront");
  __builtin_amdgcn_wave_barrier();
  __builtin_amdgcn_fence(__ATOMIC_ACQUIRE, "wavefront");
}
// The lane's number in its hardware warp.
DEVICE uint32_t hardware_lane() { return __builtin_amdgcn_mbcnt_hi(~0u, __builtin_amdgcn_mbcnt_lo(~0u, 0u)); }
DEVICE uint32_t shuffle_word(uint32_t value, uint32_t lane) {
  uint32_t from = (hardware_lane() & ~31u) | (lane & 31);
  return __builtin_amdgcn_ds_bpermute(from << 2, value);
}
struct HipMoves {
  template <uint32_t control>
  static DEVICE_MEMBER uint32_t dpp(uint32_t value) {
    return static_cast<uint32_t>(__builtin_amdgcn_mov_dpp(static_cast<int>(value), control, 0xf, 0xf, true));
  }
  template <uint32_t pattern>
  static DEVICE_MEMBER uint32_t swizzle(uint32_t value) {
    return static_cast<uint32_t>(__builtin_amdgcn_ds_swizzle(static_cast<int>(value), pattern));
  }
#if !defined(__GFX9__)
  static DEVICE_MEMBER uint32_t other_row(uint32_t value) {
    return __builtin_amdgcn_permlanex16(value, value, xor_lanes::row_low, xor_lanes::row_high, true, true);
  }
#endif
  static DEVICE_MEMBER uint32_t permute(uint32_t value, uint32_t mask) {
    return static_cast<uint32_t>(__builtin_amdgcn_ds_bpermute((hardware_lane() ^ mask) << 2, static_cast<int>(value)));
  }
};
// A mask is a constant as a rule, once loops are unrolled: then one way of the several is left.
DEVICE uint32_t shuffle_xor_word(uint32_t value, uint32_t mask) {
  if (!__builtin_constant_p(mask)) return HipMoves::permute(value, mask);
#if defined(__GFX9__)
  return xor_lanes::gfx9<HipMoves>(value, mask);
#else
  return xor_lanes::rdna<HipMoves>(value, mask);
#endif
}
DEVICE void dependency_wait() {}
DEVICE void launch_dependents() {}
constexpr bool prefetches = false;
DEVICE void prefetch(const uint8_t*, uint32_t) {}
DEVICE uint32_t load_system(const uint32_t* address) {
  return __hip_atomic_load(const_cast<uint32_t*>(address), __ATOMIC_RELAXED, __HIP_MEMORY_SCOPE_SYSTEM);
}
DEVICE void store_system(uint32_t* address, uint32_t value) {
  __hip_atomic_store(address, value, __ATOMIC_RELAXED, __HIP_MEMORY_SCOPE_SYSTEM);
}
DEVICE void system_fence() { __builtin_amdgcn_fence(__ATOMIC_SEQ_CST, ""); }
// Of the counter that runs at the same pace whatever the clocks do: 100 MHz, a quarter of that on gfx906 and gfx908.
DEVICE uint64_t clock_ticks() {
#if defined(__GFX11__) || defined(__GFX12__)
  return __builtin_amdgcn_s_sendmsg_rtnl(131);
#else
  return __builtin_amdgcn_s_memrealtime();
#endif
}
constexpr uint64_t ticks_per_ms = 100000;
DEVICE void pause_before_look(uint32_t) { __builtin_amdgcn_s_sleep(1); }
DEVICE void in_order() { __builtin_amdgcn_sched_barrier(0); }
DEVICE void keep(const uint8_t*) {}
DEVICE int32_t dot4(uint32_t a, uint32_t b, int32_t sum) {
#if defined(__GFX11__) || defined(__GFX12__)
  return __builtin_amdgcn_sudot4(true, static_cast<int>(a), true, static_cast<int>(b), sum, false);
#else
  return __builtin_amdgcn_sdot4(static_cast<int>(a), static_cast<int>(b), sum, false);
#endif
}
DEVICE float half_to_float(uint16_t h) { return static_cast<float>(__builtin_bit_cast(_Float16, h)); }
DEVICE uint16_t float_to_half(float f) { return __builtin_bit_cast(uint16_t, static_cast<_Float16>(f)); }
DEVICE float fma(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
DEVICE float square_root(float a) { return __builtin_sqrtf(a); }
DEVICE float round_even(float a) { return __builtin_rintf(a); }
DEVICE float absolute(float a) { return __builtin_fabsf(a); }
DEVICE uint32_t float_bits(float f) { return __builtin_bit_cast(uint32_t, f); }
DEVICE float bits_float(uint32_t bits) { return __builtin_bit_cast(float, bits); }
// In block memory. Used for counts alone: sums of floats have a fixed order.
DEVICE uint32_t atomic_add(uint32_t* address, uint32_t value) {
  return __hip_atomic_fetch_add(address, value, __ATOMIC_RELAXED, __HIP_MEMORY_SCOPE_WORKGROUP);
}
template <typename Words>
DEVICE Words load_once(const void* address) {
  return *static_cast<const Words*>(address);
}
template <typename Value>
DEVICE Value load_again(const void* address) {
  return *static_cast<const Value*>(address);
}
#endif

#if !defined(TALARIA_SIMT) && !defined(__METAL_VERSION__)
DEVICE uint32_t shuffle_xor(uint32_t value, uint32_t mask) { return shuffle_xor_word(value, mask); }
DEVICE int32_t shuffle_xor(int32_t value, uint32_t mask) {
  return static_cast<int32_t>(shuffle_xor_word(static_cast<uint32_t>(value), mask));
}
DEVICE float shuffle_xor(float value, uint32_t mask) { return bits_float(shuffle_xor_word(float_bits(value), mask)); }
DEVICE uint32_t shuffle(uint32_t value, uint32_t lane) { return shuffle_word(value, lane); }
DEVICE int32_t shuffle(int32_t value, uint32_t lane) {
  return static_cast<int32_t>(shuffle_word(static_cast<uint32_t>(value), lane));
}
DEVICE float shuffle(float value, uint32_t lane) { return bits_float(shuffle_word(float_bits(value), lane)); }
#endif

#if !defined(__METAL_VERSION__)
DEVICE uint32_t lane_index() { return thread_index() & 31; }
DEVICE uint32_t warp_index() { return thread_index() >> 5; }
#endif
