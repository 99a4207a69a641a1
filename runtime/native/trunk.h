/* The binary trunk as a row wavefront, in the wavelet domain.
 *
 * Block n computes sub-band row r in place as soon as its input rows r-1, r, r+1 have been packed, one row behind
 * block n-1. So only blocks + 1 rows of the four sub-bands exist at a time, whatever the height of the window. */
#ifndef BNNPAN_TRUNK_H
#define BNNPAN_TRUNK_H

#include "head.h"

typedef struct bnnpan_trunk {
    bnnpan_head head;
    int32_t blocks;         /* how many of the model's blocks run */
    int32_t rows, cols;     /* of a sub-band */
    int32_t stride;         /* floats between channel rows */
    int32_t packed_stride;  /* words between packed rows: cols + 2 */
    float *x;               /* (blocks + 1, 4, C, stride) rows in flight */
    uint32_t *packed;       /* (blocks, 4, 3, words, packed_stride) */
    uint32_t *outside;      /* (words, packed_stride) zeros */
    float *scratch;         /* of nbc_row */
} bnnpan_trunk;

/* Takes finished rows in order: x (4, C, stride) is sub-band row `row`. */
typedef void bnnpan_row_sink(void *context, int32_t row, const float *x, int32_t stride);

void bnnpan_trunk_layout(bnnpan_trunk *trunk, bnnpan_arena *arena, const bnnpan_model *model, int32_t height,
                         int32_t width);

/* Runs head and the first `blocks` blocks over a window; affines (blocks, 2, C). */
void bnnpan_trunk_run(bnnpan_trunk *trunk, const float *pan, const float *lms, int32_t blocks, const float *affines,
                      bnnpan_row_sink *sink, void *context);

#endif
