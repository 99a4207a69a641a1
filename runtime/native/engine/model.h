/* A model as the stages see it: read-only after bnnpan_model_create. */
#ifndef BNNPAN_MODEL_H
#define BNNPAN_MODEL_H

#include "../bnnpan.h"
#include "isa.h"
#include "units.h"

/* Largest sizes taken: with them no product of sizes reaches the limits of int32_t or of a 32-bit size_t. */
enum {
    BNNPAN_MAX_BANDS = 64,
    BNNPAN_MAX_CHANNELS = 256,
    BNNPAN_MAX_BLOCKS = 16,
    BNNPAN_MAX_LATENT = 1024,
    BNNPAN_MAX_STEPS = 1000,
    BNNPAN_MAX_SIDE = 1 << 15,
    BNNPAN_MAX_RATIO = 64,
};

struct bnnpan_model {
    bnnpan_shape shape;
    const bnnpan_kernels *kernels;
    const float *arrays[BNNPAN_ARRAY_COUNT]; /* float arrays by id; NULL for the bits */
    bnnpan_filters head;                     /* weight and bias halved, see head_rows */
    bnnpan_filters tail;
    bnnpan_filters encoder;
    const bnnpan_units *units;
    void *memory; /* all of the above */
};

/* Window sides are even and positive. */
static inline int bnnpan_size_is_valid(int32_t height, int32_t width) {
    return height >= 2 && width >= 2 && height <= BNNPAN_MAX_SIDE && width <= BNNPAN_MAX_SIDE && height % 2 == 0 &&
           width % 2 == 0;
}

/* Whether bnnpan_fuse_tile takes a tile: a bnnpan_status. */
int32_t bnnpan_tile_status(const bnnpan_model *model, const bnnpan_tile *tile);

#endif
