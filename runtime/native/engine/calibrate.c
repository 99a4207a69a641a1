/* Scene calibration: LDPC and CDC (Eq. 8, 17 and 18 of the paper) collapse to one affine per block and channel.
 *
 * The statistics of block n depend on the affine of block n-1, pooled over all patches. Instead of keeping the
 * features of every patch, each block runs the wavefront again from the patches: (N + 1) / 2 times the work of one
 * pass, in the memory of one patch. */
#include <math.h>

#include "../stages/head.h"
#include "../stages/trunk.h"
#include "exponential.h"
#include "prior.h"

static const double STD_EPSILON = 1e-8;

typedef struct calibration {
    const bnnpan_model *model;
    bnnpan_prior prior;
    bnnpan_image image;
    bnnpan_head head;
    bnnpan_trunk trunk;
    float *even, *odd;  /* one pair of split pixel rows of one channel */
    double *modulation; /* (2C) z_w, z_b of the block at hand */
    double *sums;       /* (3C) of |t|, t, t^2; then mean |t|, mean t, deviation of t */
    double *weight;     /* (C) W_c */
} calibration;

static size_t lay_out(calibration *run, const bnnpan_model *model, int32_t height, int32_t width, void *buffer) {
    const size_t channels = (size_t)model->shape.channels;
    bnnpan_arena arena = bnnpan_arena_open(buffer);
    run->model = model;
    bnnpan_prior_layout(&run->prior, &arena, model, height, width);
    bnnpan_image_layout(&run->image, &arena, model->shape.bands, height, width, 0);
    run->head = (bnnpan_head){model->kernels, model->head, &run->image};
    bnnpan_trunk_layout(&run->trunk, &arena, model->units, height / 2, width / 2);
    run->even = bnnpan_arena_take(&arena, (size_t)bnnpan_split_floats(width / 2), sizeof(float));
    run->odd = bnnpan_arena_take(&arena, (size_t)bnnpan_split_floats(width / 2), sizeof(float));
    run->modulation = bnnpan_arena_take(&arena, 2 * channels, sizeof(double));
    run->sums = bnnpan_arena_take(&arena, 3 * channels, sizeof(double));
    run->weight = bnnpan_arena_take(&arena, channels, sizeof(double));
    return bnnpan_arena_bytes(&arena);
}

static void add_row(calibration *run, int32_t channel, const float *y, int32_t n) {
    const int32_t channels = run->model->shape.channels;
    const double z_w = run->modulation[channel], z_b = run->modulation[channels + channel];
    double *sums = run->sums + channel;
    double magnitude = sums[0], plain = sums[channels], square = sums[2 * channels];
    for (int32_t x = 0; x < n; x++) {
        const double t = z_w * (double)y[x] + z_b;
        magnitude += t < 0 ? -t : t;
        plain += t;
        square += t * t;
    }
    sums[0] = magnitude;
    sums[channels] = plain;
    sums[2 * channels] = square;
}

/* Sink of the wavefront: sub-band row `row` of the block's output before its affine. */
static void add_statistics(void *context, int32_t row, const float *x, int32_t stride) {
    calibration *run = context;
    const int32_t channels = run->model->shape.channels, cols = run->trunk.cols;
    const int64_t sub_band = (int64_t)channels * stride;
    (void)row;
    for (int32_t c = 0; c < channels; c++) {
        const float *start = x + (int64_t)c * stride;
        const float *const sub_bands[4] = {start, start + sub_band, start + 2 * sub_band, start + 3 * sub_band};
        run->model->kernels->inverse_haar_rows(sub_bands, run->even, run->odd, cols);
        add_row(run, c, bnnpan_even(run->even), cols);
        add_row(run, c, bnnpan_odd(run->even, cols), cols);
        add_row(run, c, bnnpan_even(run->odd), cols);
        add_row(run, c, bnnpan_odd(run->odd, cols), cols);
    }
}

static void pool(calibration *run, double count) {
    const int32_t channels = run->model->shape.channels;
    for (int32_t i = 0; i < 3 * channels; i++) run->sums[i] /= count;
    for (int32_t c = 0; c < channels; c++) {
        const double mean = run->sums[channels + c];
        const double variance = run->sums[2 * channels + c] - mean * mean;
        run->sums[2 * channels + c] = sqrt((variance > 0 ? variance : 0) + STD_EPSILON);
    }
}

/* From pooled statistics to the block's affine: a = 1 + W_c z_w, b = W_c z_b. */
static void freeze(calibration *run, int32_t block, float *affine) {
    const int32_t channels = run->model->shape.channels;
    const float *weight = run->model->arrays[BNNPAN_CDC_WEIGHT] + (int64_t)block * channels * 3 * channels;
    const float *bias = run->model->arrays[BNNPAN_CDC_BIAS] + (int64_t)block * channels;
    bnnpan_linear(run->weight, weight, bias, run->sums, channels, 3 * channels);
    for (int32_t c = 0; c < channels; c++) {
        const double share = bnnpan_sigmoid(run->weight[c]);
        affine[c] = (float)(1.0 + share * run->modulation[c]);
        affine[channels + c] = (float)(share * run->modulation[channels + c]);
    }
}

static void calibrate_block(calibration *run, int32_t block, int32_t count, const bnnpan_planes *patches,
                            float *affines) {
    const int32_t channels = run->model->shape.channels, latent = run->model->shape.latent;
    const int64_t pixels = (int64_t)patches->height * patches->width;
    const float *weight = run->model->arrays[BNNPAN_LDPC_WEIGHT] + (int64_t)block * 2 * channels * latent;
    const float *bias = run->model->arrays[BNNPAN_LDPC_BIAS] + (int64_t)block * 2 * channels;
    bnnpan_linear(run->modulation, weight, bias, run->prior.latent, 2 * channels, latent);
    for (int32_t i = 0; i < 3 * channels; i++) run->sums[i] = 0;
    for (int32_t k = 0; k < count; k++) {
        bnnpan_planes patch = bnnpan_planes_at(patches, k);
        bnnpan_image_start(&run->image, bnnpan_planes_read, &patch);
        bnnpan_trunk_run(&run->trunk, block + 1, affines, bnnpan_head_row, &run->head, add_statistics, run);
    }
    pool(run, (double)(count * pixels));
    freeze(run, block, affines + (int64_t)block * 2 * channels);
}

size_t bnnpan_calibrate_arena_bytes(const bnnpan_model *model, int32_t height, int32_t width) {
    calibration run;
    return model != NULL && bnnpan_size_is_valid(height, width) ? lay_out(&run, model, height, width, NULL) : 0;
}

int32_t bnnpan_calibrate(const bnnpan_model *model, int32_t count, int32_t height, int32_t width, const float *pan,
                         const float *lms, float *affines, void *arena, size_t arena_bytes) {
    calibration run;
    if (model == NULL) return BNNPAN_NO_ARGUMENT;
    if (count < 1 || !bnnpan_size_is_valid(height, width)) return BNNPAN_BAD_SIZE;
    if (!bnnpan_is_aligned(pan) || !bnnpan_is_aligned(lms) || !bnnpan_is_aligned(affines)) return BNNPAN_NO_ARGUMENT;
    if (arena == NULL || arena_bytes < bnnpan_calibrate_arena_bytes(model, height, width)) return BNNPAN_SMALL_ARENA;
    lay_out(&run, model, height, width, arena);
    const bnnpan_planes patches = {model->kernels, pan, lms, NULL, model->shape.bands, height, width};
    bnnpan_prior_run(&run.prior, count, &patches);
    /* A block's own affine must still be the identity when its statistics are taken. */
    bnnpan_identity_affines(affines, model->shape.blocks, model->shape.channels);
    for (int32_t block = 0; block < model->shape.blocks; block++)
        calibrate_block(&run, block, count, &patches, affines);
    return BNNPAN_OK;
}
