#include "image.h"

#include <string.h>

static size_t split_floats(const onnx_image *image) { return (size_t)bnnpan_split_floats(image->cols); }

void onnx_image_layout(onnx_image *image, bnnpan_arena *arena) {
    for (int32_t i = 0; i < 2; i++) {
        image->taken[i] = bnnpan_arena_take(arena, split_floats(image), sizeof(float));
        image->given[i] = bnnpan_arena_take(arena, split_floats(image), sizeof(float));
    }
}

/* Kernels compute past the end of a row: with zeros there, never on subnormal numbers, which are slow. */
void onnx_image_start(onnx_image *image) {
    for (int32_t i = 0; i < 2; i++) memset(image->taken[i], 0, split_floats(image) * sizeof(float));
}

/* Row `row` of a plane of features or sub-bands. */
static size_t pixel_row(const onnx_image *image, int32_t channel, int32_t row) {
    return ((size_t)channel * 2 * (size_t)image->rows + (size_t)row) * 2 * (size_t)image->cols;
}

static size_t cell_row(const onnx_image *image, int32_t plane, int32_t row) {
    return ((size_t)plane * (size_t)image->rows + (size_t)row) * (size_t)image->cols;
}

/* BNNPAN_ROW_ALIGNMENT cells; the constant count lets compilers vectorise the loop. */
static void transform(const float *restrict a, const float *restrict b, const float *restrict c,
                      const float *restrict d, float *restrict ll, float *restrict lh, float *restrict hl,
                      float *restrict hh) {
    for (int32_t j = 0; j < BNNPAN_ROW_ALIGNMENT; j++) {
        const float top = a[j] + b[j], bottom = c[j] + d[j], top_step = a[j] - b[j], bottom_step = c[j] - d[j];
        ll[j] = (top + bottom) * 0.5f;
        lh[j] = (top - bottom) * 0.5f;
        hl[j] = (top_step + bottom_step) * 0.5f;
        hh[j] = (top_step - bottom_step) * 0.5f;
    }
}

void onnx_take_features(void *context, int32_t row, float *x, int32_t stride) {
    const onnx_image *image = context;
    const int32_t n = image->cols;
    const size_t sub_band = (size_t)image->channels * (size_t)stride;
    float *const a = bnnpan_even(image->taken[0]), *const b = bnnpan_odd(image->taken[0], n);
    float *const c = bnnpan_even(image->taken[1]), *const d = bnnpan_odd(image->taken[1], n);
    for (int32_t channel = 0; channel < image->channels; channel++, x += stride) {
        image->kernels->split_row(image->from + pixel_row(image, channel, 2 * row), a, b, n);
        image->kernels->split_row(image->from + pixel_row(image, channel, 2 * row + 1), c, d, n);
        for (int32_t j = 0; j < n; j += BNNPAN_ROW_ALIGNMENT)
            transform(a + j, b + j, c + j, d + j, x + j, x + sub_band + j, x + 2 * sub_band + j, x + 3 * sub_band + j);
    }
}

void onnx_give_features(void *context, int32_t row, const float *x, int32_t stride) {
    const onnx_image *image = context;
    const int32_t n = image->cols;
    const size_t sub_band = (size_t)image->channels * (size_t)stride;
    float *const above = image->given[0], *const below = image->given[1];
    for (int32_t channel = 0; channel < image->channels; channel++, x += stride) {
        const float *const sub_bands[BNNPAN_SUB_BANDS] = {x, x + sub_band, x + 2 * sub_band, x + 3 * sub_band};
        image->kernels->inverse_haar_rows(sub_bands, above, below, n);
        image->kernels->join_row(bnnpan_even(above), bnnpan_odd(above, n),
                                 image->to + pixel_row(image, channel, 2 * row), n);
        image->kernels->join_row(bnnpan_even(below), bnnpan_odd(below, n),
                                 image->to + pixel_row(image, channel, 2 * row + 1), n);
    }
}

void onnx_take_sub_bands(void *context, int32_t row, float *x, int32_t stride) {
    const onnx_image *image = context;
    const size_t cells = (size_t)image->cols, padding = (size_t)stride - cells;
    for (int32_t plane = 0; plane < BNNPAN_SUB_BANDS * image->channels; plane++, x += stride) {
        memcpy(x, image->from + cell_row(image, plane, row), cells * sizeof(float));
        memset(x + cells, 0, padding * sizeof(float));
    }
}

void onnx_give_sub_bands(void *context, int32_t row, const float *x, int32_t stride) {
    const onnx_image *image = context;
    for (int32_t plane = 0; plane < BNNPAN_SUB_BANDS * image->channels; plane++, x += stride)
        memcpy(image->to + cell_row(image, plane, row), x, (size_t)image->cols * sizeof(float));
}
