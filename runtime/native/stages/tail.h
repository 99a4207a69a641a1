/* Inverse Haar transform, tail convolution and the global residual on LMS: the trunk's sink. */
#ifndef BNNPAN_TAIL_H
#define BNNPAN_TAIL_H

#include "image.h"

/* Takes image row y of HRMS as split rows (bands, bnnpan_split_floats), network units; rows come in order. */
typedef void bnnpan_row_writer(void *context, int32_t y, const float *rows);

typedef struct bnnpan_tail {
    const bnnpan_kernels *kernels;
    bnnpan_filters filters;
    const bnnpan_image *image; /* for LMS */
    int32_t channels, height, width;
    int32_t first_row, last_row; /* image rows to write */
    float *rows;                 /* (4, C, bnnpan_split_floats) pixel rows in flight */
    float *outside;              /* one split row of zeros */
    float *result;               /* (2, bands, bnnpan_split_floats) */
    bnnpan_row_writer *writer;
    void *context;
} bnnpan_tail;

void bnnpan_tail_layout(bnnpan_tail *tail, bnnpan_arena *arena, const bnnpan_image *image, int32_t channels);
void bnnpan_tail_start(bnnpan_tail *tail, bnnpan_row_writer *writer, void *context);

/* A bnnpan_row_sink; `tail` is a bnnpan_tail. Writes the image rows that are complete with sub-band row `row`. */
void bnnpan_tail_row(void *tail, int32_t row, const float *x, int32_t stride);

#endif
