/* One-level orthonormal Haar transform (db1) of a pair of pixel rows; sub-bands LL, LH, HL, HH. */
#include "kernels.h"

void BNNPAN_KERNEL(haar_rows)(const float *restrict even, const float *restrict odd, float *const sub_bands[4],
                              int32_t n) {
    float *restrict ll = sub_bands[0], *restrict lh = sub_bands[1];
    float *restrict hl = sub_bands[2], *restrict hh = sub_bands[3];
    for (int32_t x = 0; x < n; x++) {
        const float a = even[2 * x], b = even[2 * x + 1], c = odd[2 * x], d = odd[2 * x + 1];
        const float top = a + b, bottom = c + d, top_step = a - b, bottom_step = c - d;
        ll[x] = 0.5f * (top + bottom);
        lh[x] = 0.5f * (top - bottom);
        hl[x] = 0.5f * (top_step + bottom_step);
        hh[x] = 0.5f * (top_step - bottom_step);
    }
}

void BNNPAN_KERNEL(inverse_haar_rows)(const float *const sub_bands[4], float *restrict even, float *restrict odd,
                                      int32_t n) {
    const float *restrict ll = sub_bands[0], *restrict lh = sub_bands[1];
    const float *restrict hl = sub_bands[2], *restrict hh = sub_bands[3];
    for (int32_t x = 0; x < n; x++) {
        const float a = 0.5f * ll[x], b = 0.5f * lh[x], c = 0.5f * hl[x], d = 0.5f * hh[x];
        const float top = a + b, bottom = a - b, top_step = c + d, bottom_step = c - d;
        even[2 * x] = top + top_step;
        even[2 * x + 1] = top - top_step;
        odd[2 * x] = bottom + bottom_step;
        odd[2 * x + 1] = bottom - bottom_step;
    }
}
