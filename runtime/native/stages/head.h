/* Head convolution and Haar transform: the trunk's source of sub-band rows. */
#ifndef BNNPAN_HEAD_H
#define BNNPAN_HEAD_H

#include "image.h"

typedef struct bnnpan_head {
    const bnnpan_kernels *kernels;
    bnnpan_filters filters; /* weight and bias halved, see head_rows */
    bnnpan_image *image;
} bnnpan_head;

/* A bnnpan_row_source; `head` is a bnnpan_head. */
void bnnpan_head_row(void *head, int32_t row, float *x, int32_t stride);

#endif
