#include "trunk.h"

#include <string.h>

enum { PACKED_ROWS = 3, FLOATS_PER_LINE = BNNPAN_ALIGNMENT / (int)sizeof(float) };

static size_t packed_words(const bnnpan_trunk *trunk) {
    return (size_t)trunk->head.model->words * (size_t)trunk->packed_stride;
}

void bnnpan_trunk_layout(bnnpan_trunk *trunk, bnnpan_arena *arena, const bnnpan_model *model, int32_t height,
                         int32_t width) {
    const size_t blocks = (size_t)model->shape.blocks, channels = (size_t)model->shape.channels;
    bnnpan_head_layout(&trunk->head, arena, model, height, width);
    trunk->rows = height / 2;
    trunk->cols = width / 2;
    trunk->stride = (trunk->cols + FLOATS_PER_LINE - 1) / FLOATS_PER_LINE * FLOATS_PER_LINE;
    trunk->packed_stride = trunk->cols + 2;
    const size_t row_floats = BNNPAN_SUB_BANDS * channels * (size_t)trunk->stride;
    const size_t packed_rows = blocks * BNNPAN_SUB_BANDS * PACKED_ROWS;
    trunk->x = bnnpan_arena_take(arena, (blocks + 1) * row_floats, sizeof(float));
    trunk->packed = bnnpan_arena_take(arena, packed_rows * packed_words(trunk), sizeof(uint32_t));
    trunk->outside = bnnpan_arena_take(arena, packed_words(trunk), sizeof(uint32_t));
    trunk->scratch = bnnpan_arena_take(arena, (size_t)bnnpan_nbc_scratch(model->shape.channels), sizeof(float));
}

/* Row `row` of the four sub-bands, (4, C, stride). */
static float *row_of(const bnnpan_trunk *trunk, int32_t row) {
    const int64_t size = (int64_t)BNNPAN_SUB_BANDS * trunk->head.model->shape.channels * trunk->stride;
    return trunk->x + row % (trunk->blocks + 1) * size;
}

static uint32_t *packed_row(const bnnpan_trunk *trunk, int32_t block, int32_t sub_band, int32_t row) {
    const int32_t chain = block * BNNPAN_SUB_BANDS + sub_band;
    return trunk->packed + (size_t)(chain * PACKED_ROWS + row % PACKED_ROWS) * packed_words(trunk);
}

static bnnpan_packed_rows rows_around(const bnnpan_trunk *trunk, int32_t block, int32_t sub_band, int32_t row) {
    bnnpan_packed_rows around = {.stride = trunk->packed_stride};
    for (int32_t ky = 0; ky < 3; ky++) {
        const int32_t y = row + ky - 1;
        around.outside[ky] = y < 0 || y >= trunk->rows;
        around.row[ky] = around.outside[ky] ? trunk->outside : packed_row(trunk, block, sub_band, y);
    }
    return around;
}

/* Block `block` of one sub-band takes its input row `row` and computes the row above it. */
static void advance(const bnnpan_trunk *trunk, int32_t block, int32_t sub_band, int32_t row, const float *affines) {
    const bnnpan_model *model = trunk->head.model;
    const int32_t channels = model->shape.channels;
    const int64_t start = (int64_t)sub_band * channels * trunk->stride;
    const bnnpan_unit *unit = bnnpan_model_unit(model, block, sub_band);
    if (row < trunk->rows)
        model->kernels->pack_row(row_of(trunk, row) + start, trunk->stride, unit->threshold, channels,
                                 packed_row(trunk, block, sub_band, row) + 1, trunk->packed_stride, trunk->cols);
    if (row == 0) return;
    const float *gain = affines + (int64_t)block * 2 * channels;
    const bnnpan_affine affine = {gain, gain + channels, sub_band == 0 ? 2.0f : 0.0f};
    const bnnpan_packed_rows around = rows_around(trunk, block, sub_band, row - 1);
    model->kernels->nbc_row(unit, &affine, &around, row_of(trunk, row - 1) + start, trunk->stride, trunk->cols,
                            trunk->scratch);
}

void bnnpan_trunk_run(bnnpan_trunk *trunk, const float *pan, const float *lms, int32_t blocks, const float *affines,
                      bnnpan_row_sink *sink, void *context) {
    const size_t chains = (size_t)blocks * BNNPAN_SUB_BANDS;
    trunk->blocks = blocks;
    trunk->head.image.pan = pan;
    trunk->head.image.lms = lms;
    memset(trunk->packed, 0, chains * PACKED_ROWS * packed_words(trunk) * sizeof(uint32_t));
    memset(trunk->outside, 0, packed_words(trunk) * sizeof(uint32_t));
    for (int32_t step = 0; step < trunk->rows + blocks; step++) {
        if (step < trunk->rows) bnnpan_head_row(&trunk->head, step, row_of(trunk, step), trunk->stride);
        for (int32_t sub_band = 0; sub_band < BNNPAN_SUB_BANDS; sub_band++)
            for (int32_t block = 0; block < blocks; block++) {
                const int32_t row = step - block;
                if (row >= 0 && row <= trunk->rows) advance(trunk, block, sub_band, row, affines);
            }
        if (step >= blocks) sink(context, step - blocks, row_of(trunk, step - blocks), trunk->stride);
    }
}
