/* One window: image rows -> head and Haar -> trunk -> inverse Haar and tail -> + LMS, streamed row by row.
 *
 * The arena grows with the width w only: about 4 w (2 C (N + 3) + (B + 1) (2 N + 4)) bytes, 0.6 MiB for C = 32, N = 4,
 * B = 4, w = 280. */
#ifndef BNNPAN_WINDOW_H
#define BNNPAN_WINDOW_H

#include "../stages/head.h"
#include "../stages/tail.h"
#include "../stages/trunk.h"
#include "model.h"

typedef struct bnnpan_window {
    bnnpan_image image;
    bnnpan_head head;
    bnnpan_trunk trunk;
    bnnpan_tail tail;
} bnnpan_window;

/* Of the model, kernels, head, tail, units, bands and channels are used. */
void bnnpan_window_layout(bnnpan_window *window, bnnpan_arena *arena, const bnnpan_model *model, int32_t height,
                          int32_t width);

/* Writes image rows first_row to last_row; affines (N, 2, C). The reader is asked for all rows. */
void bnnpan_window_run(bnnpan_window *window, const float *affines, int32_t first_row, int32_t last_row,
                       bnnpan_row_reader *reader, bnnpan_row_writer *writer, void *context);

#endif
