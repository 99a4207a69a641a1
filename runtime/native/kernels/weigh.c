/* Weighted sums of rows, for the interpolation of MS: product and sum are rounded one by one, in the order of the
 * taps. Vectors stay in registers over all taps. */
#include "../simd/simd.h"
#include "kernels.h"

enum { VECTORS = 4 };

BNNPAN_INLINE void weigh(float *out, const bnnpan_taps *taps, int32_t start, int32_t vectors) {
    vfloat sum[VECTORS];
    for (int32_t i = 0; i < vectors; i++)
        sum[i] = v_mul(v_load(taps->row[0] + start + i * BNNPAN_LANES), v_set(taps->weight[0]));
    for (int32_t k = 1; k < taps->count; k++) {
        const float *row = taps->row[k] + start;
        const vfloat weight = v_set(taps->weight[k]);
        for (int32_t i = 0; i < vectors; i++) sum[i] = v_add(sum[i], v_mul(v_load(row + i * BNNPAN_LANES), weight));
    }
    for (int32_t i = 0; i < vectors; i++) v_store(out + start + i * BNNPAN_LANES, sum[i]);
}

void BNNPAN_KERNEL(weigh_rows)(float *out, const bnnpan_taps *taps, int32_t n) {
    int32_t start = 0;
    for (; start + VECTORS * BNNPAN_LANES <= n; start += VECTORS * BNNPAN_LANES) weigh(out, taps, start, VECTORS);
    for (; start < n; start += BNNPAN_LANES) weigh(out, taps, start, 1);
}
