/* Signs to bits: 1 is negative. x + shift < 0 holds exactly when x < -shift, so zero (also -0.0) is positive. */
#include "binary_sums.h"

void BNNPAN_KERNEL(pack_row)(const float *x, int32_t stride, const float *threshold, int32_t channels,
                             uint32_t *packed, int32_t packed_stride, int32_t n) {
    for (int32_t first = 0; first < n; first += BNNPAN_LANES)
        for (int32_t word = 0; word * BNNPAN_WORD_BITS < channels; word++) {
            vwords marks = w_set(0);
            for (int32_t bit = 0; bit < BNNPAN_WORD_BITS && word * BNNPAN_WORD_BITS + bit < channels; bit++) {
                const int32_t channel = word * BNNPAN_WORD_BITS + bit;
                const vfloat value = v_load(x + (size_t)channel * (size_t)stride + first);
                marks = w_mark(marks, value, v_set(threshold[channel]), UINT32_C(1) << bit);
            }
            store_marks(packed, packed_stride, word, first, n, marks);
        }
}
