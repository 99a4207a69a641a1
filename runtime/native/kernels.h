/* Row kernels, compiled once per instruction set. All work on one row, vectorised across its pixels, with the
 * same order of operations per pixel everywhere, so every set gives the same bits.
 *
 * A file that defines kernels is compiled with BNNPAN_ISA set to the set's name; BNNPAN_KERNEL(pack_row) is then
 * pack_row_<isa>. kernels.c collects them in one table per set. */
#ifndef BNNPAN_KERNELS_H
#define BNNPAN_KERNELS_H

#include <float.h>
#include <stdint.h>

/* x87 and a few others keep float in a wider type between operations: other bits than everywhere else. */
#if FLT_EVAL_METHOD == 1 || FLT_EVAL_METHOD == 2
#error "float must be rounded to float at every operation; on 32-bit x86 compile with -msse2 -mfpmath=sse"
#endif

enum { BNNPAN_TAPS = 9 };

/* One NBC unit, prepared; pointers into the model. C channels, `words` 32-bit words per packed pixel. */
typedef struct bnnpan_unit {
    int32_t channels;
    int32_t words;
    int32_t outer_skip;
    const uint32_t *bits;   /* (C, words, 9) */
    const int32_t *outside; /* (C, 9): added to the sum for a tap that lies outside, see binary_conv.c */
    const float *threshold; /* (C), -shift; like all that follow */
    const float *scale;
    const float *gamma;
    const float *beta;
    const float *zeta;
    const float *inverse_lambda;
    const float *phi;
    const float *eta;
} bnnpan_unit;

/* Per-channel `gain * y + offset * offset_factor`; the factor is 2 in LL and 0 elsewhere, because the offset of a
 * plane appears doubled in LL of the orthonormal Haar transform and nowhere else. */
typedef struct bnnpan_affine {
    const float *gain;
    const float *offset;
    float offset_factor;
} bnnpan_affine;

/* Three packed rows around the one computed. Word w of pixel x is row[w * stride + 1 + x]; columns 0 and n+1
 * are zero. A row outside the window is a row of zeros with its flag set. */
typedef struct bnnpan_packed_rows {
    const uint32_t *row[3];
    int32_t outside[3];
    int32_t stride;
} bnnpan_packed_rows;

typedef struct bnnpan_kernels {
    const char *name;
    /* out[x] += sum over ky, kx of rows[ky][x + kx] * weight[3 ky + kx], tap after tap. */
    void (*conv3x3_row)(float *out, const float *const rows[3], const float *weight, int32_t n);
    /* Two pixel rows of 2n to one row of n of each sub-band, and back. */
    void (*haar_rows)(const float *even, const float *odd, float *const sub_bands[4], int32_t n);
    void (*inverse_haar_rows)(const float *const sub_bands[4], float *even, float *odd, int32_t n);
    /* Signs of `channels` rows `stride` floats apart into words `packed_stride` apart. */
    void (*pack_row)(const float *x, int32_t stride, const float *threshold, int32_t channels, uint32_t *packed,
                     int32_t packed_stride, int32_t n);
    /* One NBC unit and its affine on one row of a sub-band, in place; x is (C, stride). */
    void (*nbc_row)(const bnnpan_unit *unit, const bnnpan_affine *affine, const bnnpan_packed_rows *packed, float *x,
                    int32_t stride, int32_t n, float *scratch);
} bnnpan_kernels;

#define BNNPAN_JOIN2(a, b) a##_##b
#define BNNPAN_JOIN(a, b) BNNPAN_JOIN2(a, b)
#define BNNPAN_KERNEL(name) BNNPAN_JOIN(name, BNNPAN_ISA)

#ifdef BNNPAN_ISA
void BNNPAN_KERNEL(conv3x3_row)(float *out, const float *const rows[3], const float *weight, int32_t n);
void BNNPAN_KERNEL(haar_rows)(const float *even, const float *odd, float *const sub_bands[4], int32_t n);
void BNNPAN_KERNEL(inverse_haar_rows)(const float *const sub_bands[4], float *even, float *odd, int32_t n);
void BNNPAN_KERNEL(pack_row)(const float *x, int32_t stride, const float *threshold, int32_t channels,
                             uint32_t *packed, int32_t packed_stride, int32_t n);
void BNNPAN_KERNEL(binary_conv_row)(int32_t *sums, const bnnpan_unit *unit, int32_t channel,
                                    const bnnpan_packed_rows *packed, int32_t first, int32_t count, int32_t n);
void BNNPAN_KERNEL(nbc_row)(const bnnpan_unit *unit, const bnnpan_affine *affine, const bnnpan_packed_rows *packed,
                            float *x, int32_t stride, int32_t n, float *scratch);
#endif

/* Pixels per pass of nbc_row: C rows of this length stay in a 32 KiB first-level cache up to C = 64. */
enum { BNNPAN_NBC_BLOCK = 64 };

/* Floats of scratch for nbc_row. */
static inline int64_t bnnpan_nbc_scratch(int32_t channels) {
    return (int64_t)(channels + 5) * BNNPAN_NBC_BLOCK;
}

#endif
