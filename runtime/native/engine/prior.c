#include "prior.h"

static const float LEAK = 0.1f;

static double leaky(double x) { return x >= 0 ? x : (double)LEAK * x; }

static void leaky_all(double *x, int32_t n) {
    for (int32_t i = 0; i < n; i++) x[i] = leaky(x[i]);
}

void bnnpan_linear(double *out, const float *weight, const float *bias, const double *x, int32_t rows, int32_t cols) {
    for (int32_t i = 0; i < rows; i++) {
        double sum = bias[i];
        for (int32_t j = 0; j < cols; j++) sum += (double)weight[(int64_t)i * cols + j] * x[j];
        out[i] = sum;
    }
}

void bnnpan_prior_layout(bnnpan_prior *prior, bnnpan_arena *arena, const bnnpan_model *model, int32_t height,
                         int32_t width) {
    const size_t latent = (size_t)model->shape.latent;
    prior->model = model;
    bnnpan_image_layout(&prior->image, arena, model->shape.bands, height, width, 0);
    prior->even = bnnpan_arena_take(arena, latent * (size_t)bnnpan_split_floats(width / 2), sizeof(float));
    prior->odd = bnnpan_arena_take(arena, latent * (size_t)bnnpan_split_floats(width / 2), sizeof(float));
    prior->condition = bnnpan_arena_take(arena, latent, sizeof(double));
    prior->latent = bnnpan_arena_take(arena, latent, sizeof(double));
    prior->joined = bnnpan_arena_take(arena, 2 * latent + 1, sizeof(double));
    prior->hidden = bnnpan_arena_take(arena, latent, sizeof(double));
}

/* Adds the features of the n pixels of one half of a split row. */
static double add_features(const bnnpan_prior *prior, const float *features, double sum) {
    for (int32_t x = 0; x < prior->image.width / 2; x++) {
        const double feature = features[x];
        sum += prior->model->shape.rectified ? leaky(feature) : feature;
    }
    return sum;
}

/* Adds the features of image rows y and y + 1 to `sums` (L). */
static void add_pair(bnnpan_prior *prior, int32_t y, double *sums) {
    const bnnpan_model *model = prior->model;
    const int32_t n = prior->image.width / 2;
    const bnnpan_pixel_rows around = bnnpan_image_around(&prior->image, y);
    model->kernels->convolve_rows(&around, &model->encoder, prior->even, prior->odd, n);
    for (int32_t i = 0; i < model->shape.latent; i++) {
        const size_t place = (size_t)i * (size_t)bnnpan_split_floats(n);
        sums[i] = add_features(prior, bnnpan_even(prior->even + place), sums[i]);
        sums[i] = add_features(prior, bnnpan_odd(prior->even + place, n), sums[i]);
        sums[i] = add_features(prior, bnnpan_even(prior->odd + place), sums[i]);
        sums[i] = add_features(prior, bnnpan_odd(prior->odd + place, n), sums[i]);
    }
}

static void pool_features(bnnpan_prior *prior, int32_t count, const bnnpan_planes *patches, double *means) {
    const int32_t latent = prior->model->shape.latent;
    const int64_t pixels = (int64_t)patches->height * patches->width;
    for (int32_t i = 0; i < latent; i++) means[i] = 0;
    for (int32_t k = 0; k < count; k++) {
        bnnpan_planes patch = bnnpan_planes_at(patches, k);
        bnnpan_image_start(&prior->image, bnnpan_planes_read, &patch);
        for (int32_t y = 0; y < patch.height; y += 2) add_pair(prior, y, means);
    }
    for (int32_t i = 0; i < latent; i++) means[i] /= (double)(count * pixels);
}

static void denoise(bnnpan_prior *prior, int32_t step) {
    const bnnpan_model *model = prior->model;
    const float *const *arrays = model->arrays;
    const int32_t latent = model->shape.latent;
    for (int32_t i = 0; i < latent; i++) {
        prior->joined[i] = prior->latent[i];
        prior->joined[latent + 1 + i] = prior->condition[i];
    }
    prior->joined[latent] = (double)step / (10.0 * model->shape.prior_steps);
    bnnpan_linear(prior->hidden, arrays[BNNPAN_DENOISER_HIDDEN_WEIGHT], arrays[BNNPAN_DENOISER_HIDDEN_BIAS],
                  prior->joined, latent, 2 * latent + 1);
    leaky_all(prior->hidden, latent);
    double *estimate = prior->joined;
    bnnpan_linear(estimate, arrays[BNNPAN_DENOISER_OUT_WEIGHT], arrays[BNNPAN_DENOISER_OUT_BIAS], prior->hidden, latent,
                  latent);
    const double latent_gain = arrays[BNNPAN_LATENT_GAIN][step - 1];
    const double estimate_gain = arrays[BNNPAN_ESTIMATE_GAIN][step - 1];
    for (int32_t i = 0; i < latent; i++)
        prior->latent[i] = latent_gain * prior->latent[i] + estimate_gain * estimate[i];
}

void bnnpan_prior_run(bnnpan_prior *prior, int32_t count, const bnnpan_planes *patches) {
    const bnnpan_model *model = prior->model;
    const float *const *arrays = model->arrays;
    const int32_t latent = model->shape.latent;
    pool_features(prior, count, patches, prior->condition);
    leaky_all(prior->condition, latent);
    bnnpan_linear(prior->hidden, arrays[BNNPAN_ENCODER_HIDDEN_WEIGHT], arrays[BNNPAN_ENCODER_HIDDEN_BIAS],
                  prior->condition, latent, latent);
    leaky_all(prior->hidden, latent);
    bnnpan_linear(prior->condition, arrays[BNNPAN_ENCODER_OUT_WEIGHT], arrays[BNNPAN_ENCODER_OUT_BIAS], prior->hidden,
                  latent, latent);
    for (int32_t i = 0; i < latent; i++) prior->latent[i] = arrays[BNNPAN_LATENT_START][i];
    for (int32_t step = model->shape.prior_steps; step >= 1; step--) denoise(prior, step);
}
