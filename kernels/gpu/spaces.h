// Words for where a pointer or a reference leads, which Metal wants beside each and other dialects know by themselves. The
// headers of this folder that kernels/metal includes too have them; .cu files need none, and .metal files use Metal's own.
#pragma once

#if defined(__METAL_VERSION__)
#include <metal_stdlib>
#define GLOBAL device      // the device's memory
#define LOCAL thread       // a thread's own
#define ARGS constant      // a kernel's arguments, and what is part of them
#define CONSTANT static constant constexpr  // a number that is known when kernels are compiled
#else
#include <stddef.h>
#include <stdint.h>
#define GLOBAL
#define LOCAL
#define ARGS const
#define CONSTANT static constexpr
#endif
