#include "tail.h"

#include <string.h>

enum { SLOTS = 4 }; /* a new pair of rows, and the two before it */

static size_t ring_floats(const bnnpan_tail *tail) {
    return SLOTS * (size_t)tail->model->shape.channels * (size_t)(tail->width + 2);
}

void bnnpan_tail_layout(bnnpan_tail *tail, bnnpan_arena *arena, const bnnpan_model *model, int32_t height,
                        int32_t width) {
    tail->model = model;
    tail->height = height;
    tail->width = width;
    tail->rows = bnnpan_arena_take(arena, ring_floats(tail), sizeof(float));
    tail->outside = bnnpan_arena_take(arena, (size_t)(width + 2), sizeof(float));
}

void bnnpan_tail_start(bnnpan_tail *tail, const float *lms, float *out) {
    tail->lms = lms;
    tail->out = out;
    memset(tail->rows, 0, ring_floats(tail) * sizeof(float)); /* the padding columns stay zero */
    memset(tail->outside, 0, (size_t)(tail->width + 2) * sizeof(float));
}

static float *row_of(const bnnpan_tail *tail, int32_t y, int32_t channel) {
    if (y < 0 || y >= tail->height) return tail->outside;
    return tail->rows + (int64_t)(y % SLOTS * tail->model->shape.channels + channel) * (tail->width + 2);
}

static void write_row(const bnnpan_tail *tail, int32_t y) {
    const bnnpan_model *model = tail->model;
    const int32_t bands = model->shape.bands, channels = model->shape.channels, width = tail->width;
    const int64_t plane = (int64_t)tail->height * width;
    float *out = tail->out + (int64_t)y * width;
    const float *lms = tail->lms + (int64_t)y * width;
    for (int32_t b = 0; b < bands; b++)
        for (int32_t x = 0; x < width; x++) out[b * plane + x] = model->arrays[BNNPAN_TAIL_BIAS][b];
    for (int32_t c = 0; c < channels; c++) {
        const float *const rows[3] = {row_of(tail, y - 1, c), row_of(tail, y, c), row_of(tail, y + 1, c)};
        for (int32_t b = 0; b < bands; b++) {
            const float *weight = model->arrays[BNNPAN_TAIL_WEIGHT] + (b * channels + c) * BNNPAN_TAPS;
            model->kernels->conv3x3_row(out + b * plane, rows, weight, width);
        }
    }
    for (int32_t b = 0; b < bands; b++)
        for (int32_t x = 0; x < width; x++) out[b * plane + x] += lms[b * plane + x];
}

void bnnpan_tail_row(void *context, int32_t row, const float *x, int32_t stride) {
    bnnpan_tail *tail = context;
    const int32_t channels = tail->model->shape.channels;
    const int64_t sub_band = (int64_t)channels * stride;
    for (int32_t c = 0; c < channels; c++) {
        const float *start = x + (int64_t)c * stride;
        const float *const sub_bands[4] = {start, start + sub_band, start + 2 * sub_band, start + 3 * sub_band};
        tail->model->kernels->inverse_haar_rows(sub_bands, row_of(tail, 2 * row, c) + 1,
                                                row_of(tail, 2 * row + 1, c) + 1, tail->width / 2);
    }
    if (row > 0) write_row(tail, 2 * row - 1);
    write_row(tail, 2 * row);
    if (2 * row + 2 == tail->height) write_row(tail, 2 * row + 1);
}
