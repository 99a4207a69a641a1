/* The window's pixels [LMS, PAN] as zero-padded rows: what the head and the condition encoder convolve. */
#ifndef BNNPAN_IMAGE_H
#define BNNPAN_IMAGE_H

#include "arena.h"
#include "model.h"

enum { BNNPAN_IMAGE_SLOTS = 4 }; /* one pair of rows and its neighbours above and below */

typedef struct bnnpan_image {
    const float *pan, *lms; /* (height, width), (B, height, width) */
    int32_t bands, height, width;
    float *rows; /* (slot, B + 1, width + 2) */
} bnnpan_image;

void bnnpan_image_layout(bnnpan_image *image, bnnpan_arena *arena, int32_t bands, int32_t height, int32_t width);

/* Reads row y, -1 .. height, into its slot; rows outside are zero. */
void bnnpan_image_load(bnnpan_image *image, int32_t y);

/* out (n = width) = bias + 3x3 convolution around loaded row y; weight (B + 1, 3, 3). */
void bnnpan_image_convolve(const bnnpan_image *image, const bnnpan_kernels *kernels, int32_t y, const float *weight,
                           float bias, float *out);

#endif
