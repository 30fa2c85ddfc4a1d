// The kernels' machine code, embedded in the library by cmake/EmbedFile.cmake.
#pragma once

#include <cstddef>

namespace talaria::gpu {

struct Image {
  const char* file;           // of kernels/gpu, without .cu
  // What it is code for: gfx90a; for a CUDA fat binary all there is in it, such as "75 80 90a ptx90"; "sm_70" for a text
  // in PTX that stands alone. For messages, too.
  const char* architecture;
  const unsigned char* data;  // a zero byte follows
  size_t bytes;
};
extern const Image* const images;
extern const size_t image_count;
extern const char* const images_compiler;  // CUDA 13.0, clang 19.1.7

}  // namespace talaria::gpu
