/* Head convolution and Haar transform, one row of sub-bands at a time; rows must be asked for in order. */
#ifndef BNNPAN_HEAD_H
#define BNNPAN_HEAD_H

#include "image.h"

typedef struct bnnpan_head {
    const bnnpan_model *model;
    bnnpan_image image;
    float *even, *odd; /* one pair of pixel rows of one channel */
} bnnpan_head;

void bnnpan_head_layout(bnnpan_head *head, bnnpan_arena *arena, const bnnpan_model *model, int32_t height,
                        int32_t width);

/* Sub-band row `row` into x (4, C, stride). */
void bnnpan_head_row(bnnpan_head *head, int32_t row, float *x, int32_t stride);

#endif
