/* PAN and LMS of scene units, mixed: products, differences and sums are rounded one by one, in the order of the bands.
 * Several vectors go side by side, so that the differences of one do not wait for each other. */
#include "../simd/simd.h"
#include "kernels.h"

enum { STEP = 2 * BNNPAN_ROW_ALIGNMENT, VECTORS = STEP / BNNPAN_LANES };

void BNNPAN_KERNEL(mix_rows)(float *rows, int32_t floats, int32_t bands, const float *explained,
                             const float *injected) {
    for (int32_t start = 0; start < floats; start += STEP) {
        float *const detail = rows + (size_t)bands * (size_t)floats + start;
        vfloat d[VECTORS];
        for (int32_t i = 0; i < VECTORS; i++) d[i] = v_load(detail + i * BNNPAN_LANES);
        for (int32_t band = 0; band < bands; band++) {
            const float *m = rows + (size_t)band * (size_t)floats + start;
            const vfloat weight = v_set(explained[band]);
            for (int32_t i = 0; i < VECTORS; i++) d[i] = v_sub(d[i], v_mul(weight, v_load(m + i * BNNPAN_LANES)));
        }
        for (int32_t i = 0; i < VECTORS; i++) v_store(detail + i * BNNPAN_LANES, d[i]);
        for (int32_t band = 0; band < bands; band++) {
            float *m = rows + (size_t)band * (size_t)floats + start;
            const vfloat weight = v_set(injected[band]);
            for (int32_t i = 0; i < VECTORS; i++)
                v_store(m + i * BNNPAN_LANES, v_add(v_load(m + i * BNNPAN_LANES), v_mul(weight, d[i])));
        }
    }
}
