/* Signs to bits: 1 is negative. x + shift < 0 holds exactly when x < -shift, so zero (also -0.0) is positive. */
#include "binary_sums.h"

enum { VECTORS = 4 };

/* Channels of one word, of a few vectors side by side. */
BNNPAN_INLINE void mark(const float *x, size_t stride, const float *threshold, int32_t count, int32_t vectors,
                        vwords marks[VECTORS]) {
    for (int32_t i = 0; i < vectors; i++) marks[i] = w_set(0);
    for (int32_t bit = 0; bit < count; bit++, x += stride) {
        const vfloat limit = v_set(threshold[bit]);
        for (int32_t i = 0; i < vectors; i++)
            marks[i] = w_mark(marks[i], v_load(x + i * BNNPAN_LANES), limit, UINT32_C(1) << bit);
    }
}

void BNNPAN_KERNEL(pack_row)(const float *x, int32_t stride, const float *threshold, int32_t channels,
                             uint32_t *packed, int32_t packed_stride, int32_t n) {
    for (int32_t word = 0; word * BNNPAN_WORD_BITS < channels; word++) {
        const int32_t start = word * BNNPAN_WORD_BITS, left = channels - start;
        const int32_t count = left < BNNPAN_WORD_BITS ? left : BNNPAN_WORD_BITS;
        const float *rows = x + (size_t)start * (size_t)stride;
        vwords marks[VECTORS];
        int32_t first = 0;
        for (; first + (VECTORS - 1) * BNNPAN_LANES < n; first += VECTORS * BNNPAN_LANES) {
            mark(rows + first, (size_t)stride, threshold + start, count, VECTORS, marks);
            for (int32_t i = 0; i < VECTORS; i++)
                store_marks(packed, packed_stride, word, first + i * BNNPAN_LANES, n, marks[i]);
        }
        for (; first < n; first += BNNPAN_LANES) {
            mark(rows + first, (size_t)stride, threshold + start, count, 1, marks);
            store_marks(packed, packed_stride, word, first, n, marks[0]);
        }
    }
}
