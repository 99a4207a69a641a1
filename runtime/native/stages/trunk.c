#include "trunk.h"

#include <string.h>

void bnnpan_trunk_layout(bnnpan_trunk *trunk, bnnpan_arena *arena, const bnnpan_units *units, int32_t rows,
                         int32_t cols) {
    const size_t chains = (size_t)units->blocks * BNNPAN_SUB_BANDS, channels = (size_t)units->channels;
    trunk->units = units;
    trunk->rows = rows;
    trunk->cols = cols;
    trunk->first_needed = 0;
    trunk->last_needed = rows - 1;
    /* An odd number of cache lines: rows of neighbouring channels then fall into different sets of the cache. */
    trunk->stride = bnnpan_row_length(cols) | BNNPAN_ROW_ALIGNMENT;
    trunk->packed_stride = bnnpan_packed_stride(cols);
    const size_t rows_of_bits = chains * BNNPAN_PACKED_ROWS, rows_of_floats = (size_t)units->blocks + 1;
    trunk->x = bnnpan_arena_take(arena, rows_of_floats * BNNPAN_SUB_BANDS * bnnpan_sub_band_floats(trunk),
                                 sizeof(float));
    trunk->outputs = bnnpan_arena_take(arena, chains * channels, sizeof(bnnpan_output));
    trunk->packed = bnnpan_arena_take(arena, rows_of_bits * bnnpan_packed_words(trunk), sizeof(uint32_t));
    trunk->outside = bnnpan_arena_take(arena, bnnpan_packed_words(trunk), sizeof(uint32_t));
    trunk->scratch = bnnpan_arena_take(arena, bnnpan_nbc_scratch(units->channels), sizeof(float));
}

/* Row `row` of the four sub-bands, (4, C, stride). */
static float *row_of(const bnnpan_trunk *trunk, int32_t row) {
    return trunk->x + (size_t)(row % (trunk->blocks + 1)) * BNNPAN_SUB_BANDS * bnnpan_sub_band_floats(trunk);
}

static bnnpan_packed_rows rows_around(const bnnpan_trunk *trunk, int32_t block, int32_t sub_band, int32_t row) {
    const int above = row == 0, below = row == trunk->rows - 1;
    return (bnnpan_packed_rows){
        .row = {above ? trunk->outside : bnnpan_packed_row(trunk, block, sub_band, row - 1),
                bnnpan_packed_row(trunk, block, sub_band, row),
                below ? trunk->outside : bnnpan_packed_row(trunk, block, sub_band, row + 1)},
        .outside = (above ? BNNPAN_ABOVE_OUTSIDE : 0) | (below ? BNNPAN_BELOW_OUTSIDE : 0),
        .stride = trunk->packed_stride,
    };
}

static bnnpan_output *outputs_of(const bnnpan_trunk *trunk, int32_t block, int32_t sub_band) {
    const int32_t chain = block * BNNPAN_SUB_BANDS + sub_band;
    return trunk->outputs + (size_t)chain * (size_t)trunk->units->channels;
}

/* gain * (branch / lambda + mean_x + eta + x (1 + outer_skip)) + offset, multiplied out. The offset of a plane appears
 * doubled in LL of the orthonormal Haar transform and nowhere else. */
static void prepare_outputs(const bnnpan_trunk *trunk, int32_t block, int32_t sub_band, const float *affine) {
    const bnnpan_unit *unit = bnnpan_unit_of(trunk->units, block, sub_band);
    const bnnpan_unit *next = block + 1 < trunk->blocks ? bnnpan_unit_of(trunk->units, block + 1, sub_band) : NULL;
    const int32_t channels = unit->channels;
    const float skips = trunk->units->outer_skip ? 2.0f : 1.0f;
    const float *gain = affine, *offset = affine + channels;
    bnnpan_output *outputs = outputs_of(trunk, block, sub_band);
    for (int32_t c = 0; c < channels; c++) {
        const float lifted = gain[c] * unit->eta[c];
        outputs[c] = (bnnpan_output){
            .phi = unit->phi[c],
            .keep = gain[c] * skips,
            .mean = gain[c],
            .branch = gain[c] * unit->inverse_lambda[c],
            .offset = sub_band == 0 ? lifted + 2.0f * offset[c] : lifted,
            .threshold = next != NULL ? next->threshold[c] : 0.0f,
        };
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
    float *x = row_of(trunk, row) + (size_t)sub_band * bnnpan_sub_band_floats(trunk);
    units->kernels->pack_row(x, trunk->stride, bnnpan_unit_of(units, 0, sub_band)->threshold, units->channels,
                             bnnpan_packed_row(trunk, 0, sub_band, row), trunk->packed_stride, trunk->cols);
}

/* Row `row` of one sub-band, the neighbours of which are packed: from input to output of the block, in place. */
static void compute(const bnnpan_trunk *trunk, int32_t block, int32_t sub_band, int32_t row) {
    const bnnpan_units *units = trunk->units;
    float *x = row_of(trunk, row) + (size_t)sub_band * bnnpan_sub_band_floats(trunk);
    const bnnpan_packed_rows around = rows_around(trunk, block, sub_band, row);
    uint32_t *next = block + 1 < trunk->blocks ? bnnpan_packed_row(trunk, block + 1, sub_band, row) : NULL;
    units->kernels->nbc_row(bnnpan_unit_of(units, block, sub_band), outputs_of(trunk, block, sub_band), &around,
                            x, trunk->stride, trunk->cols, next, trunk->scratch);
}

void bnnpan_identity_affines(float *affines, int32_t blocks, int32_t channels) {
    for (int32_t block = 0; block < blocks; block++, affines += 2 * channels)
        for (int32_t c = 0; c < channels; c++) {
            affines[c] = 1.0f;
            affines[channels + c] = 0.0f;
        }
}

void bnnpan_trunk_run(bnnpan_trunk *trunk, int32_t blocks, const float *affines, bnnpan_row_source *source,
                      void *source_context, bnnpan_row_sink *sink, void *sink_context) {
    const size_t chains = (size_t)blocks * BNNPAN_SUB_BANDS;
    trunk->blocks = blocks;
    for (int32_t block = 0; block < blocks; block++)
        for (int32_t sub_band = 0; sub_band < BNNPAN_SUB_BANDS; sub_band++)
            prepare_outputs(trunk, block, sub_band, affines + (size_t)block * 2 * (size_t)trunk->units->channels);
    memset(trunk->packed, 0, chains * BNNPAN_PACKED_ROWS * bnnpan_packed_words(trunk) * sizeof(uint32_t));
    memset(trunk->outside, 0, bnnpan_packed_words(trunk) * sizeof(uint32_t));
    for (int32_t step = 0; step < trunk->rows + blocks; step++) {
        if (step < trunk->rows) source(source_context, step, row_of(trunk, step), trunk->stride);
        for (int32_t sub_band = 0; sub_band < BNNPAN_SUB_BANDS; sub_band++) {
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
