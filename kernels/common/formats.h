// Block layouts of the quantised formats, as GGUF files hold them: C that C++, CUDA, HIP, Metal and OpenCL accept.
// Every field is read byte by byte or as a 16-bit word, so that no struct needs more than 2-byte alignment.
// io.talaria.quant documents what the fields mean and decodes each format readably.
#ifndef TALARIA_FORMATS_H
#define TALARIA_FORMATS_H

#if defined(__OPENCL_VERSION__)
typedef char int8_t;
typedef uchar uint8_t;
typedef ushort uint16_t;
#elif !defined(__METAL_VERSION__) && !defined(__CUDACC_RTC__)
#include <stdint.h>
#endif

// Numbers of the types in GGUF files.
typedef enum talaria_type {
  TALARIA_F32 = 0,
  TALARIA_F16 = 1,
  TALARIA_Q4_0 = 2,
  TALARIA_Q8_0 = 8,
  TALARIA_Q4_K = 12,
  TALARIA_Q5_K = 13,
  TALARIA_Q6_K = 14,
  TALARIA_I32 = 26,
  TALARIA_BF16 = 30
} talaria_type;

// x[i] = d * (q[i] - 8); q[i] the low nibbles for i < 16, the high ones for the rest
typedef struct talaria_block_q4_0 {
  uint16_t d;      // float16
  uint8_t qs[16];
} talaria_block_q4_0;  // 32 values, 18 bytes

// x[i] = d * q[i]
typedef struct talaria_block_q8_0 {
  uint16_t d;     // float16
  int8_t qs[32];
} talaria_block_q8_0;  // 32 values, 34 bytes

// x = d * scale * q - dmin * min; 8 groups of 32 values, 6-bit scale and minimum each
typedef struct talaria_block_q4_k {
  uint16_t d, dmin;    // float16
  uint8_t scales[12];  // 8 scales and 8 minimums of 6 bits
  uint8_t qs[128];     // groups 2j and 2j + 1 in the low and high nibbles of bytes [32j, 32j + 32)
} talaria_block_q4_k;  // 256 values, 144 bytes

// like q4_k, with a fifth bit
typedef struct talaria_block_q5_k {
  uint16_t d, dmin;    // float16
  uint8_t scales[12];
  uint8_t qh[32];      // bit g of byte i: the fifth bit of value i of group g
  uint8_t qs[128];
} talaria_block_q5_k;  // 256 values, 176 bytes

// x = d * scale * (q - 32); 16 groups of 16 values
typedef struct talaria_block_q6_k {
  uint8_t ql[128];    // low 4 bits
  uint8_t qh[64];     // high 2 bits
  int8_t scales[16];
  uint16_t d;         // float16
} talaria_block_q6_k;  // 256 values, 210 bytes

#endif
