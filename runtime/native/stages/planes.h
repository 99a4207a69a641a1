/* Float images in network units as image rows: the reader and writer of windows that are not in DN. */
#ifndef BNNPAN_PLANES_H
#define BNNPAN_PLANES_H

#include "../kernels/kernels.h"

typedef struct bnnpan_planes {
    const bnnpan_kernels *kernels;
    const float *pan, *lms; /* (height, width), (bands, height, width) */
    float *out;             /* (bands, height, width) */
    int32_t bands, height, width;
} bnnpan_planes;

/* The index-th of images that lie one behind the other, from the first; there is nothing to write. */
bnnpan_planes bnnpan_planes_at(const bnnpan_planes *first, int32_t index);

/* A bnnpan_row_reader and a bnnpan_row_writer; `planes` is a bnnpan_planes. */
void bnnpan_planes_read(void *planes, int32_t y, float *rows);
void bnnpan_planes_write(void *planes, int32_t y, const float *rows);

#endif
