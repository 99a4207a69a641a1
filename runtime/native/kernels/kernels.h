/* Row kernels, compiled once per instruction set over the vocabulary of simd/simd.h. All work on one row or two,
 * vectorised across its pixels, with the same order of operations per pixel everywhere:
 *
 *   - sums over channels, inputs and taps run in their order, one after another;
 *   - products and sums are rounded one by one, except where v_fma stands;
 *   - sums of signs are exact integers.
 *
 * So every set, window, crop and thread count gives the same bits.
 *
 * A file that defines kernels is compiled with BNNPAN_ISA set to the set's name; BNNPAN_KERNEL(pack_row) is then
 * pack_row_<isa>. kernels.c collects them in one table per set. */
#ifndef BNNPAN_KERNELS_H
#define BNNPAN_KERNELS_H

#include <float.h>
#include <stddef.h>
#include <stdint.h>

#include "rows.h"

/* x87 and a few others keep float in a wider type between operations: other bits than everywhere else. */
#if FLT_EVAL_METHOD == 1 || FLT_EVAL_METHOD == 2
#error "float must be rounded to float at every operation; on 32-bit x86 compile with -msse2 -mfpmath=sse"
#endif

enum { BNNPAN_TAPS = 9, BNNPAN_WORD_BITS = 32 };

/* Which rows around the one computed lie outside the window. */
enum { BNNPAN_ABOVE_OUTSIDE = 1, BNNPAN_BELOW_OUTSIDE = 2, BNNPAN_OUTSIDE_CASES = 4 };

/* Added to both variances of an NBC unit. */
#define BNNPAN_VARIANCE_EPSILON 1e-6f

/* One filter of an NBC unit: constants of its border, see binary_sums.h, per BNNPAN_OUTSIDE_CASES, and its RPReLU. */
typedef struct bnnpan_filter {
    float most[BNNPAN_OUTSIDE_CASES];  /* sum of signs over the taps inside, were no bit different */
    float left[BNNPAN_OUTSIDE_CASES];  /* what the first pixel of a row adds to it */
    float right[BNNPAN_OUTSIDE_CASES]; /* the last one */
    float scale, minus_gamma, beta, zeta;
} bnnpan_filter;

/* What becomes of one channel: from its normalised branch t, its input x, the mean of x over the channels of its pixel
 * and the affine of the scene, the new x = branch * t + (mean * mean_x + (keep * x + offset)). */
typedef struct bnnpan_output {
    float phi;
    float keep, mean, branch, offset;
    float threshold; /* of the next block, for the sign of the new x */
} bnnpan_output;

/* One NBC unit, prepared; C channels, `words` 32-bit words per packed pixel. */
typedef struct bnnpan_unit {
    int32_t channels;
    int32_t words;
    const uint32_t *bits;         /* (C, words, 9) */
    const bnnpan_filter *filters; /* (C) */
    const float *threshold;       /* (C), -shift; like those that follow */
    const float *phi;
    const float *inverse_lambda;
    const float *eta;
} bnnpan_unit;

/* Three packed rows around the one computed, as in rows.h; one outside is a row of zeros, and said in `outside`. */
typedef struct bnnpan_packed_rows {
    const uint32_t *row[3];
    int32_t outside;
    int32_t stride;
} bnnpan_packed_rows;

/* Four split pixel rows (rows.h), y - 1 to y + 2, around the two computed: plane i of row k is row[k] + i * step[k].
 * A row outside the window is one row of zeros with step 0. */
typedef struct bnnpan_pixel_rows {
    const float *row[4];
    size_t step[4];
    int32_t planes;
} bnnpan_pixel_rows;

/* A float 3x3 convolution of those rows: weight (outputs, planes, 9), bias (outputs). */
typedef struct bnnpan_filters {
    const float *weight, *bias;
    int32_t outputs;
} bnnpan_filters;

/* Largest number of taps along one axis. */
enum { BNNPAN_MAX_TAPS = 64 };

typedef struct bnnpan_taps {
    int32_t count; /* at least 1 */
    const float *row[BNNPAN_MAX_TAPS];
    float weight[BNNPAN_MAX_TAPS];
} bnnpan_taps;

/* DN of network unit 0, and DN per network unit. */
typedef struct bnnpan_scaling {
    float offset, scale;
} bnnpan_scaling;

typedef struct bnnpan_kernels {
    const char *name;
    /* Signs of x (C, stride) against threshold (C), into one packed row. */
    void (*pack_row)(const float *x, int32_t stride, const float *threshold, int32_t channels, uint32_t *packed,
                     int32_t packed_stride, int32_t n);
    /* Sums of signs of one row, (C, bnnpan_row_length(n)): what nbc_row computes first, for tests and timings. */
    void (*sums_row)(const bnnpan_unit *unit, const bnnpan_packed_rows *packed, int32_t *sums, int32_t n);
    /* One NBC unit and its affine on one row of a sub-band, in place; x is (C, stride), outputs (C), scratch of
     * bnnpan_nbc_scratch floats. The signs of the new row go to packed row `next`, unless that is NULL. */
    void (*nbc_row)(const bnnpan_unit *unit, const bnnpan_output *outputs, const bnnpan_packed_rows *packed, float *x,
                    int32_t stride, int32_t n, uint32_t *next, float *scratch);
    /* Two pixel rows of 2n columns of every filter, Haar transformed: x (4, outputs, stride). Weight and bias are half
     * those of the convolution, which is the transform's factor. */
    void (*head_rows)(const bnnpan_pixel_rows *rows, const bnnpan_filters *filters, float *x, int32_t stride,
                      int32_t n);
    /* Two split pixel rows of every filter: even and odd (outputs, split row). */
    void (*convolve_rows)(const bnnpan_pixel_rows *rows, const bnnpan_filters *filters, float *even, float *odd,
                          int32_t n);
    /* One row of the sub-bands of one channel to two split pixel rows, zeros at their ends as in rows.h. */
    void (*inverse_haar_rows)(const float *const sub_bands[4], float *even, float *odd, int32_t n);
    /* The weighted sum of rows of n values, at any address. */
    void (*weigh_rows)(float *out, const bnnpan_taps *taps, int32_t n);
    /* DN of type `sample` to network units: (DN - offset) / scale, 0 where DN equals *nodata. */
    void (*normalise_row)(int32_t sample, const void *dn, bnnpan_scaling scaling, const float *nodata, float *out,
                          int32_t n);
    /* row += share * other, which may be at any address; product and sum are rounded one by one. */
    void (*add_share)(float *row, const float *other, float share, int32_t n);
    /* A row of 2n values to its even and odd ones, and back. */
    void (*split_row)(const float *row, float *even, float *odd, int32_t n);
    void (*join_row)(const float *even, const float *odd, float *row, int32_t n);
    /* Network units to DN of type `sample`, x * scale + offset, see bnnpan_fuse_tile. */
    void (*quantise_row)(int32_t sample, const float *x, bnnpan_scaling scaling, void *dn, int32_t n);
} bnnpan_kernels;

#define BNNPAN_JOIN2(a, b) a##_##b
#define BNNPAN_JOIN(a, b) BNNPAN_JOIN2(a, b)
#define BNNPAN_KERNEL(name) BNNPAN_JOIN(name, BNNPAN_ISA)

#ifdef BNNPAN_ISA
void BNNPAN_KERNEL(pack_row)(const float *x, int32_t stride, const float *threshold, int32_t channels,
                             uint32_t *packed, int32_t packed_stride, int32_t n);
void BNNPAN_KERNEL(sums_row)(const bnnpan_unit *unit, const bnnpan_packed_rows *packed, int32_t *sums, int32_t n);
void BNNPAN_KERNEL(nbc_row)(const bnnpan_unit *unit, const bnnpan_output *outputs, const bnnpan_packed_rows *packed,
                            float *x, int32_t stride, int32_t n, uint32_t *next, float *scratch);
void BNNPAN_KERNEL(head_rows)(const bnnpan_pixel_rows *rows, const bnnpan_filters *filters, float *x, int32_t stride,
                              int32_t n);
void BNNPAN_KERNEL(convolve_rows)(const bnnpan_pixel_rows *rows, const bnnpan_filters *filters, float *even,
                                  float *odd, int32_t n);
void BNNPAN_KERNEL(inverse_haar_rows)(const float *const sub_bands[4], float *even, float *odd, int32_t n);
void BNNPAN_KERNEL(weigh_rows)(float *out, const bnnpan_taps *taps, int32_t n);
void BNNPAN_KERNEL(normalise_row)(int32_t sample, const void *dn, bnnpan_scaling scaling, const float *nodata,
                                  float *out, int32_t n);
void BNNPAN_KERNEL(add_share)(float *row, const float *other, float share, int32_t n);
void BNNPAN_KERNEL(split_row)(const float *row, float *even, float *odd, int32_t n);
void BNNPAN_KERNEL(join_row)(const float *even, const float *odd, float *row, int32_t n);
void BNNPAN_KERNEL(quantise_row)(int32_t sample, const float *x, bnnpan_scaling scaling, void *dn, int32_t n);
#endif

/* Pixels that nbc_row works on at a time: a whole number of vectors of every set, and independent sums enough to hide
 * the latency of an addition. Their channels take 8 KiB for C = 32. */
enum { BNNPAN_NBC_PIXELS = 4 * BNNPAN_ROW_ALIGNMENT };

/* Floats of scratch for nbc_row. */
static inline size_t bnnpan_nbc_scratch(int32_t channels) { return (size_t)channels * BNNPAN_NBC_PIXELS; }

#endif
