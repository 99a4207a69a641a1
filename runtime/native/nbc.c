/* Normalised binary convolution (Eq. 3 to 6 of the paper) and the frozen affine, one row of one sub-band in place:
 * binary convolution -> RPReLU -> normalised to the per-pixel channel statistics of the input, plus the input. */
#include <math.h>

#include "kernels.h"

static const float VARIANCE_EPSILON = 1e-6f;

typedef struct pixel_block {
    float *v;               /* (C, BNNPAN_NBC_BLOCK) activated convolution */
    float *mean_x, *mean_v; /* per pixel */
    float *var_x, *var_v;   /* per pixel; var_x ends as the gain */
    int32_t *sums;          /* per pixel, one channel at a time */
    int32_t first, count;
} pixel_block;

static void activate(float *restrict v, float *restrict sum_v, float *restrict sum_x, const float *restrict x,
                     const int32_t *restrict sums, const bnnpan_unit *unit, int32_t channel, int32_t count) {
    const float scale = unit->scale[channel], gamma = unit->gamma[channel];
    const float beta = unit->beta[channel], zeta = unit->zeta[channel];
    for (int32_t i = 0; i < count; i++) {
        const float u = (float)sums[i] * scale - gamma;
        const float value = (u > 0.0f ? u : beta * u) + zeta;
        v[i] = value;
        sum_v[i] += value;
        sum_x[i] += x[i];
    }
}

static void add_squares(float *restrict var_x, float *restrict var_v, const float *restrict x, const float *restrict v,
                        const float *restrict mean_x, const float *restrict mean_v, int32_t count) {
    for (int32_t i = 0; i < count; i++) {
        const float x_step = x[i] - mean_x[i], v_step = v[i] - mean_v[i];
        var_x[i] += x_step * x_step;
        var_v[i] += v_step * v_step;
    }
}

static void finish(float *restrict x, const float *restrict v, const pixel_block *block, const bnnpan_unit *unit,
                   const bnnpan_affine *affine, int32_t channel) {
    const float *restrict gain = block->var_x, *restrict mean_x = block->mean_x, *restrict mean_v = block->mean_v;
    const float phi = unit->phi[channel], inverse_lambda = unit->inverse_lambda[channel], eta = unit->eta[channel];
    const float a = affine->gain[channel], b = affine->offset[channel] * affine->offset_factor;
    const int32_t outer_skip = unit->outer_skip;
    for (int32_t i = 0; i < block->count; i++) {
        const float centred = (v[i] - mean_v[i]) - phi;
        const float branch = gain[i] * centred * inverse_lambda + mean_x[i] + eta;
        const float y = x[i] + branch;
        x[i] = a * (outer_skip ? y + x[i] : y) + b;
    }
}

static void statistics(const pixel_block *block, const float *x, int32_t stride, int32_t channels) {
    const float divisor = (float)channels;
    for (int32_t i = 0; i < block->count; i++) {
        block->mean_x[i] /= divisor;
        block->mean_v[i] /= divisor;
        block->var_x[i] = block->var_v[i] = 0.0f;
    }
    for (int32_t c = 0; c < channels; c++)
        add_squares(block->var_x, block->var_v, x + (int64_t)c * stride, block->v + c * BNNPAN_NBC_BLOCK,
                    block->mean_x, block->mean_v, block->count);
    for (int32_t i = 0; i < block->count; i++) {
        const float numerator = block->var_x[i] / divisor + VARIANCE_EPSILON;
        const float denominator = block->var_v[i] / divisor + VARIANCE_EPSILON;
        block->var_x[i] = sqrtf(numerator / denominator);
    }
}

void BNNPAN_KERNEL(nbc_row)(const bnnpan_unit *unit, const bnnpan_affine *affine, const bnnpan_packed_rows *packed,
                            float *x, int32_t stride, int32_t n, float *scratch) {
    const int32_t channels = unit->channels;
    pixel_block block;
    block.v = scratch;
    block.mean_x = block.v + channels * BNNPAN_NBC_BLOCK;
    block.mean_v = block.mean_x + BNNPAN_NBC_BLOCK;
    block.var_x = block.mean_v + BNNPAN_NBC_BLOCK;
    block.var_v = block.var_x + BNNPAN_NBC_BLOCK;
    block.sums = (int32_t *)(void *)(block.var_v + BNNPAN_NBC_BLOCK);
    for (block.first = 0; block.first < n; block.first += BNNPAN_NBC_BLOCK) {
        const int32_t left = n - block.first;
        block.count = left < BNNPAN_NBC_BLOCK ? left : BNNPAN_NBC_BLOCK;
        float *start = x + block.first;
        for (int32_t i = 0; i < block.count; i++) block.mean_x[i] = block.mean_v[i] = 0.0f;
        for (int32_t c = 0; c < channels; c++) {
            BNNPAN_KERNEL(binary_conv_row)(block.sums, unit, c, packed, block.first, block.count, n);
            activate(block.v + c * BNNPAN_NBC_BLOCK, block.mean_v, block.mean_x, start + (int64_t)c * stride,
                     block.sums, unit, c, block.count);
        }
        statistics(&block, start, stride, channels);
        for (int32_t c = 0; c < channels; c++)
            finish(start + (int64_t)c * stride, block.v + c * BNNPAN_NBC_BLOCK, &block, unit, affine, c);
    }
}
