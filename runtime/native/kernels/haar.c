/* Inverse of the one-level orthonormal Haar transform (db1), one row of sub-bands LL, LH, HL, HH to two pixel rows. The
 * forward transform is part of the head (conv3x3.c). */
#include "../simd/simd.h"
#include "kernels.h"

void BNNPAN_KERNEL(inverse_haar_rows)(const float *const sub_bands[4], float *even, float *odd, int32_t n) {
    float *const above = bnnpan_even(even), *const above_odd = bnnpan_odd(even, n);
    float *const below = bnnpan_even(odd), *const below_odd = bnnpan_odd(odd, n);
    const vfloat half = v_set(0.5f);
    for (int32_t j = 0; j < n; j += BNNPAN_LANES) {
        const vfloat ll = v_mul(half, v_load(sub_bands[0] + j)), lh = v_mul(half, v_load(sub_bands[1] + j));
        const vfloat hl = v_mul(half, v_load(sub_bands[2] + j)), hh = v_mul(half, v_load(sub_bands[3] + j));
        const vfloat top = v_add(ll, lh), bottom = v_sub(ll, lh), top_step = v_add(hl, hh), bottom_step = v_sub(hl, hh);
        v_store(above + j, v_add(top, top_step));
        v_store(above_odd + j, v_sub(top, top_step));
        v_store(below + j, v_add(bottom, bottom_step));
        v_store(below_odd + j, v_sub(bottom, bottom_step));
    }
    above[n] = below[n] = 0.0f;
}
