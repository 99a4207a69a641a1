/* How rows lie in memory, for kernels that work on whole vectors.
 *
 * Every row starts on a cache line and holds a multiple of BNNPAN_ROW_ALIGNMENT values, so kernels may compute past
 * its end, up to the next multiple; what they leave there is of no meaning, unless said so. */
#ifndef BNNPAN_ROWS_H
#define BNNPAN_ROWS_H

#include <stdint.h>

/* float32 values of a cache line, and of the widest vector. */
enum { BNNPAN_ROW_ALIGNMENT = 16 };

static inline int32_t bnnpan_row_length(int32_t n) {
    return (n + BNNPAN_ROW_ALIGNMENT - 1) / BNNPAN_ROW_ALIGNMENT * BNNPAN_ROW_ALIGNMENT;
}

/* A pixel row of 2n columns as its n even columns, then its n odd ones; in front of each a cache line of zeros. Column
 * -1 is the zero before the odd ones; column 2n, which is even, the zero after the even ones. */
static inline int32_t bnnpan_half_floats(int32_t n) { return bnnpan_row_length(n) + BNNPAN_ROW_ALIGNMENT; }
static inline int32_t bnnpan_split_floats(int32_t n) { return 2 * bnnpan_half_floats(n); }
static inline float *bnnpan_even(float *row) { return row + BNNPAN_ROW_ALIGNMENT; }
static inline float *bnnpan_odd(float *row, int32_t n) { return row + bnnpan_half_floats(n) + BNNPAN_ROW_ALIGNMENT; }

/* The same of a row that is only read. */
static inline const float *bnnpan_read_even(const float *row) { return row + BNNPAN_ROW_ALIGNMENT; }
static inline const float *bnnpan_read_odd(const float *row, int32_t n) {
    return row + bnnpan_half_floats(n) + BNNPAN_ROW_ALIGNMENT;
}

/* A row of n packed pixels: word w of pixel x is row[w * stride + BNNPAN_ROW_ALIGNMENT + x]; the words of pixels -1 and
 * n are zero. */
static inline int32_t bnnpan_packed_stride(int32_t n) { return bnnpan_row_length(n) + 2 * BNNPAN_ROW_ALIGNMENT; }

#endif
