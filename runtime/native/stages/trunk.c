#include "trunk.h"

#include <string.h>

enum { PACKED_ROWS = 3, CONSTANTS = 4 };

static size_t packed_words(const bnnpan_trunk *trunk) {
    return (size_t)trunk->units->words * (size_t)trunk->packed_stride;
}

void bnnpan_trunk_layout(bnnpan_trunk *trunk, bnnpan_arena *arena, const bnnpan_units *units, int32_t rows,
                         int32_t cols) {
    const size_t chains = (size_t)units->blocks * BNNPAN_UNITS_PER_BLOCK, channels = (size_t)units->channels;
    trunk->units = units;
    trunk->rows = rows;
    trunk->cols = cols;
    trunk->first_needed = 0;
    trunk->last_needed = rows - 1;
    trunk->stride = bnnpan_row_length(cols);
    trunk->packed_stride = bnnpan_packed_stride(cols);
    const size_t row_floats = BNNPAN_UNITS_PER_BLOCK * channels * (size_t)trunk->stride;
    trunk->x = bnnpan_arena_take(arena, ((size_t)units->blocks + 1) * row_floats, sizeof(float));
    trunk->constants = bnnpan_arena_take(arena, chains * CONSTANTS * channels, sizeof(float));
    trunk->packed = bnnpan_arena_take(arena, chains * PACKED_ROWS * packed_words(trunk), sizeof(uint32_t));
    trunk->outside = bnnpan_arena_take(arena, packed_words(trunk), sizeof(uint32_t));
    trunk->scratch = bnnpan_arena_take(arena, bnnpan_nbc_scratch(units->channels), sizeof(float));
}

/* Row `row` of the four sub-bands, (4, C, stride). */
static float *row_of(const bnnpan_trunk *trunk, int32_t row) {
    const size_t size = BNNPAN_UNITS_PER_BLOCK * (size_t)trunk->units->channels * (size_t)trunk->stride;
    return trunk->x + (size_t)(row % (trunk->blocks + 1)) * size;
}

static uint32_t *packed_row(const bnnpan_trunk *trunk, int32_t block, int32_t sub_band, int32_t row) {
    const int32_t chain = block * BNNPAN_UNITS_PER_BLOCK + sub_band;
    return trunk->packed + (size_t)(chain * PACKED_ROWS + row % PACKED_ROWS) * packed_words(trunk);
}

static bnnpan_packed_rows rows_around(const bnnpan_trunk *trunk, int32_t block, int32_t sub_band, int32_t row) {
    const int above = row == 0, below = row == trunk->rows - 1;
    return (bnnpan_packed_rows){
        .row = {above ? trunk->outside : packed_row(trunk, block, sub_band, row - 1),
                packed_row(trunk, block, sub_band, row),
                below ? trunk->outside : packed_row(trunk, block, sub_band, row + 1)},
        .outside = (above ? BNNPAN_ABOVE_OUTSIDE : 0) | (below ? BNNPAN_BELOW_OUTSIDE : 0),
        .stride = trunk->packed_stride,
    };
}

static float *constants_of(const bnnpan_trunk *trunk, int32_t block, int32_t sub_band) {
    const int32_t chain = block * BNNPAN_UNITS_PER_BLOCK + sub_band;
    return trunk->constants + (size_t)chain * CONSTANTS * (size_t)trunk->units->channels;
}

static bnnpan_output output_of(const bnnpan_trunk *trunk, int32_t block, int32_t sub_band) {
    const float *start = constants_of(trunk, block, sub_band);
    const size_t channels = (size_t)trunk->units->channels;
    return (bnnpan_output){start, start + channels, start + 2 * channels, start + 3 * channels};
}

/* gain * (branch / lambda + mean_x + eta + x (1 + outer_skip)) + offset, multiplied out. The offset of a plane appears
 * doubled in LL of the orthonormal Haar transform and nowhere else. */
static void prepare_outputs(const bnnpan_trunk *trunk, const float *affines) {
    const int32_t channels = trunk->units->channels;
    const float skips = trunk->units->outer_skip ? 2.0f : 1.0f;
    for (int32_t block = 0; block < trunk->blocks; block++)
        for (int32_t sub_band = 0; sub_band < BNNPAN_UNITS_PER_BLOCK; sub_band++) {
            const bnnpan_unit *unit = bnnpan_unit_of(trunk->units, block, sub_band);
            const float *gain = affines + (size_t)block * 2 * (size_t)channels, *offset = gain + channels;
            float *keep = constants_of(trunk, block, sub_band);
            for (int32_t c = 0; c < channels; c++) {
                const float lifted = gain[c] * unit->eta[c];
                keep[c] = gain[c] * skips;
                keep[channels + c] = gain[c];
                keep[2 * channels + c] = gain[c] * unit->inverse_lambda[c];
                keep[3 * channels + c] = sub_band == 0 ? lifted + 2.0f * offset[c] : lifted;
            }
        }
}

/* Output rows of a block that later blocks or the sink read: one more on either side per block that follows. */
static int is_needed(const bnnpan_trunk *trunk, int32_t block, int32_t row) {
    const int32_t beyond = trunk->blocks - 1 - block;
    return row >= trunk->first_needed - beyond && row <= trunk->last_needed + beyond;
}

/* Packs input row `row` of the first block. */
static void pack_first(const bnnpan_trunk *trunk, int32_t sub_band, int32_t row) {
    const bnnpan_units *units = trunk->units;
    const size_t start = (size_t)(sub_band * units->channels) * (size_t)trunk->stride;
    const bnnpan_packing packing = {bnnpan_unit_of(units, 0, sub_band)->threshold, packed_row(trunk, 0, sub_band, row)};
    units->kernels->pack_row(row_of(trunk, row) + start, trunk->stride, units->channels, &packing,
                             trunk->packed_stride, trunk->cols);
}

/* Row `row` of one sub-band, the neighbours of which are packed: from input to output of the block, in place. */
static void compute(const bnnpan_trunk *trunk, int32_t block, int32_t sub_band, int32_t row) {
    const bnnpan_units *units = trunk->units;
    const size_t start = (size_t)(sub_band * units->channels) * (size_t)trunk->stride;
    const bnnpan_packed_rows around = rows_around(trunk, block, sub_band, row);
    const bnnpan_output output = output_of(trunk, block, sub_band);
    const int last = block + 1 == trunk->blocks;
    bnnpan_packing next = {NULL, NULL};
    if (!last) {
        next.threshold = bnnpan_unit_of(units, block + 1, sub_band)->threshold;
        next.row = packed_row(trunk, block + 1, sub_band, row);
    }
    units->kernels->nbc_row(bnnpan_unit_of(units, block, sub_band), &output, &around, row_of(trunk, row) + start,
                            trunk->stride, trunk->cols, last ? NULL : &next, trunk->scratch);
}

void bnnpan_trunk_run(bnnpan_trunk *trunk, int32_t blocks, const float *affines, bnnpan_row_source *source,
                      void *source_context, bnnpan_row_sink *sink, void *sink_context) {
    const size_t chains = (size_t)blocks * BNNPAN_UNITS_PER_BLOCK;
    trunk->blocks = blocks;
    prepare_outputs(trunk, affines);
    memset(trunk->packed, 0, chains * PACKED_ROWS * packed_words(trunk) * sizeof(uint32_t));
    memset(trunk->outside, 0, packed_words(trunk) * sizeof(uint32_t));
    for (int32_t step = 0; step < trunk->rows + blocks; step++) {
        if (step < trunk->rows) source(source_context, step, row_of(trunk, step), trunk->stride);
        for (int32_t sub_band = 0; sub_band < BNNPAN_UNITS_PER_BLOCK; sub_band++) {
            if (step < trunk->rows) pack_first(trunk, sub_band, step);
            for (int32_t block = 0; block < blocks; block++) {
                const int32_t row = step - block - 1;
                if (row >= 0 && row < trunk->rows && is_needed(trunk, block, row))
                    compute(trunk, block, sub_band, row);
            }
        }
        if (step >= blocks) sink(sink_context, step - blocks, row_of(trunk, step - blocks), trunk->stride);
    }
}
