/* The binary trunk as a row wavefront, in the wavelet domain.
 *
 * Block n computes sub-band row r in place as soon as its input rows r-1, r, r+1 have been packed, one row behind
 * block n-1. So only blocks + 1 rows of the four sub-bands exist at a time, whatever the height of the window. */
#ifndef BNNPAN_TRUNK_H
#define BNNPAN_TRUNK_H

#include "../engine/units.h"

/* Fills x (4, C, stride) with sub-band row `row`; rows are asked for in order. */
typedef void bnnpan_row_source(void *context, int32_t row, float *x, int32_t stride);

/* Takes finished rows in order: x (4, C, stride) is sub-band row `row`. */
typedef void bnnpan_row_sink(void *context, int32_t row, const float *x, int32_t stride);

typedef struct bnnpan_trunk {
    const bnnpan_units *units;
    int32_t blocks;        /* how many of the units' blocks run */
    int32_t rows, cols;    /* of a sub-band */
    int32_t first_needed;  /* sub-band rows first_needed .. last_needed of the last block are wanted by the sink; */
    int32_t last_needed;   /* of the others it gets values of no meaning */
    int32_t stride;        /* floats between channel rows */
    int32_t packed_stride; /* words between packed rows */
    float *x;              /* (blocks + 1, 4, C, stride) rows in flight */
    bnnpan_output *outputs; /* (blocks, 4, C) */
    uint32_t *packed;      /* (blocks, 4, BNNPAN_PACKED_ROWS, words, packed_stride) */
    uint32_t *outside;     /* (words, packed_stride) zeros */
    float *scratch;        /* of nbc_row */
} bnnpan_trunk;

void bnnpan_trunk_layout(bnnpan_trunk *trunk, bnnpan_arena *arena, const bnnpan_units *units, int32_t rows,
                         int32_t cols);

/* Packed rows kept of each sub-band: the one computed and its neighbours. */
enum { BNNPAN_PACKED_ROWS = 3 };

/* Floats of one row of one sub-band, (C, stride). */
static inline size_t bnnpan_sub_band_floats(const bnnpan_trunk *trunk) {
    return (size_t)trunk->units->channels * (size_t)trunk->stride;
}

/* Words of one packed row. */
static inline size_t bnnpan_packed_words(const bnnpan_trunk *trunk) {
    return (size_t)trunk->units->words * (size_t)trunk->packed_stride;
}

/* The packed input row `row` of a block, (words, packed_stride). */
static inline uint32_t *bnnpan_packed_row(const bnnpan_trunk *trunk, int32_t block, int32_t sub_band, int32_t row) {
    const int32_t chain = block * BNNPAN_SUB_BANDS + sub_band;
    return trunk->packed + (size_t)(chain * BNNPAN_PACKED_ROWS + row % BNNPAN_PACKED_ROWS) * bnnpan_packed_words(trunk);
}

/* Affines (blocks, 2, C) that change nothing. */
void bnnpan_identity_affines(float *affines, int32_t blocks, int32_t channels);

/* Runs the first `blocks` blocks over a window; affines (blocks, 2, C). */
void bnnpan_trunk_run(bnnpan_trunk *trunk, int32_t blocks, const float *affines, bnnpan_row_source *source,
                      void *source_context, bnnpan_row_sink *sink, void *sink_context);

#endif
