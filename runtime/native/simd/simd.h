/* The vector vocabulary of the instruction set this file is compiled for; every kernel is written once over it.
 *
 *   BNNPAN_LANES        float32 values of a vfloat, 32-bit words of a vwords; divides BNNPAN_ROW_ALIGNMENT
 *   v_zero set load store add sub mul div sqrt     one rounding each; load and store take any address
 *   v_fma(a, b, c)      a * b + c with one rounding
 *   v_rectify(u, w)     u where u > 0, else w
 *   w_load w_store w_set w_add                     32-bit words, any address
 *   w_mark(word, x, t, bit)  word | bit where x < t
 *   w_float, w_truncate words as signed integers to float and back, exact below 2^24
 *   vcounts, c_zero     partial counts of set bits per lane
 *   vnine, n_load       nine words, each for all lanes
 *   c_add9(c, x, w)     c plus the set bits of x[i] ^ w[i], i < 9, w a vnine; at most BNNPAN_COUNT_WORDS times
 *   c_total(c)          whole counts, one per lane
 *
 * Rules that make every set give the same bits: a lane never depends on another, a product is only fused with a
 * sum where v_fma says so, comparisons are ordered, and counts are exact. */
#ifndef BNNPAN_SIMD_H
#define BNNPAN_SIMD_H

#include <stdint.h>

/* Most times of c_add9 before c_total: 9 times 8 bits each in counts of bytes, which hold 255. */
enum { BNNPAN_COUNT_WORDS = 3 };

#if defined(BNNPAN_SIMD_AVX512)
#include "avx512.h"
#elif defined(BNNPAN_SIMD_AVX2)
#include "avx2.h"
#elif defined(BNNPAN_SIMD_NEON)
#include "neon.h"
#else
#include "portable.h"
#endif

/* Kernels are specialised by passing constants to functions that must then be inlined. */
#if defined(__GNUC__)
#define BNNPAN_INLINE static inline __attribute__((always_inline))
#else
#define BNNPAN_INLINE static inline
#endif

#endif
