/* Inverse Haar transform, tail convolution and the global residual on LMS, fed with sub-band rows in order. */
#ifndef BNNPAN_TAIL_H
#define BNNPAN_TAIL_H

#include "arena.h"
#include "model.h"

typedef struct bnnpan_tail {
    const bnnpan_model *model;
    int32_t height, width;
    const float *lms; /* (B, height, width) */
    float *out;       /* (B, height, width) */
    float *rows;      /* (4, C, width + 2) zero-padded pixel rows in flight */
    float *outside;   /* (width + 2) zeros */
} bnnpan_tail;

void bnnpan_tail_layout(bnnpan_tail *tail, bnnpan_arena *arena, const bnnpan_model *model, int32_t height,
                        int32_t width);
void bnnpan_tail_start(bnnpan_tail *tail, const float *lms, float *out);

/* Takes sub-band row `row`, x (4, C, stride), and writes the image rows that are complete with it. */
void bnnpan_tail_row(void *tail, int32_t row, const float *x, int32_t stride);

#endif
