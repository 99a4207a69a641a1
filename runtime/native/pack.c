/* Signs to bits: 1 is negative. x + shift < 0 holds exactly when x < -shift, so zero (also -0.0) is positive. */
#include "kernels.h"

enum { LANE = 8 }; /* channels per pass over the words */

static void pack_lane(const float *restrict x, int32_t stride, const float *threshold, uint32_t *restrict word,
                      int32_t shift, int32_t n) {
    const float *restrict x0 = x, *restrict x1 = x0 + stride, *restrict x2 = x1 + stride, *restrict x3 = x2 + stride;
    const float *restrict x4 = x3 + stride, *restrict x5 = x4 + stride, *restrict x6 = x5 + stride,
                *restrict x7 = x6 + stride;
    const float t0 = threshold[0], t1 = threshold[1], t2 = threshold[2], t3 = threshold[3];
    const float t4 = threshold[4], t5 = threshold[5], t6 = threshold[6], t7 = threshold[7];
    for (int32_t i = 0; i < n; i++) {
        const uint32_t low = (uint32_t)(x0[i] < t0) | (uint32_t)(x1[i] < t1) << 1 | (uint32_t)(x2[i] < t2) << 2 |
                             (uint32_t)(x3[i] < t3) << 3;
        const uint32_t high = (uint32_t)(x4[i] < t4) | (uint32_t)(x5[i] < t5) << 1 | (uint32_t)(x6[i] < t6) << 2 |
                              (uint32_t)(x7[i] < t7) << 3;
        word[i] |= (low | high << 4) << shift;
    }
}

static void pack_channel(const float *restrict x, float threshold, uint32_t *restrict word, int32_t shift, int32_t n) {
    for (int32_t i = 0; i < n; i++) word[i] |= (uint32_t)(x[i] < threshold) << shift;
}

void BNNPAN_KERNEL(pack_row)(const float *x, int32_t stride, const float *threshold, int32_t channels,
                             uint32_t *packed, int32_t packed_stride, int32_t n) {
    for (int32_t first = 0; first < channels; first += 32) {
        uint32_t *word = packed + (int64_t)(first / 32) * packed_stride;
        for (int32_t i = 0; i < n; i++) word[i] = 0;
        const int32_t last = first + 32 < channels ? first + 32 : channels;
        int32_t c = first;
        for (; c + LANE <= last; c += LANE)
            pack_lane(x + (int64_t)c * stride, stride, threshold + c, word, c - first, n);
        for (; c < last; c++) pack_channel(x + (int64_t)c * stride, threshold[c], word, c - first, n);
    }
}
