/* Float 3x3 convolution of one input channel into one output row: head, tail and condition encoder. */
#include "kernels.h"

void BNNPAN_KERNEL(conv3x3_row)(float *restrict out, const float *const rows[3], const float *weight, int32_t n) {
    const float *restrict above = rows[0], *restrict here = rows[1], *restrict below = rows[2];
    const float w0 = weight[0], w1 = weight[1], w2 = weight[2];
    const float w3 = weight[3], w4 = weight[4], w5 = weight[5];
    const float w6 = weight[6], w7 = weight[7], w8 = weight[8];
    for (int32_t x = 0; x < n; x++) {
        float sum = out[x];
        sum += above[x] * w0;
        sum += above[x + 1] * w1;
        sum += above[x + 2] * w2;
        sum += here[x] * w3;
        sum += here[x + 1] * w4;
        sum += here[x + 2] * w5;
        sum += below[x] * w6;
        sum += below[x + 1] * w7;
        sum += below[x + 2] * w8;
        out[x] = sum;
    }
}
