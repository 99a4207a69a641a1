/* Weighted sums of rows, for the interpolation of MS: product and sum are rounded one by one, in the order of the
 * taps. A vector stays in a register over all taps. */
#include "../simd/simd.h"
#include "kernels.h"

void BNNPAN_KERNEL(weigh_rows)(float *out, const bnnpan_taps *taps, int32_t n) {
    for (int32_t i = 0; i < n; i += BNNPAN_LANES) {
        vfloat sum = v_mul(v_load(taps->row[0] + i), v_set(taps->weight[0]));
        for (int32_t k = 1; k < taps->count; k++)
            sum = v_add(sum, v_mul(v_load(taps->row[k] + i), v_set(taps->weight[k])));
        v_store(out + i, sum);
    }
}
