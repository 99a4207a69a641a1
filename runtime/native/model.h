/* A model as the stages see it: read-only after bnnpan_model_create. */
#ifndef BNNPAN_MODEL_H
#define BNNPAN_MODEL_H

#include "bnnpan.h"
#include "kernels.h"

/* Largest sizes taken: with them no product of sizes reaches the limits of int32_t or of a 32-bit size_t. */
enum {
    BNNPAN_MAX_BANDS = 64,
    BNNPAN_MAX_CHANNELS = 256,
    BNNPAN_MAX_BLOCKS = 16,
    BNNPAN_MAX_LATENT = 1024,
    BNNPAN_MAX_STEPS = 1000,
    BNNPAN_MAX_SIDE = 1 << 15,
};

struct bnnpan_model {
    bnnpan_shape shape;
    const bnnpan_kernels *kernels;
    int32_t words;                           /* 32-bit words per packed pixel */
    const float *arrays[BNNPAN_ARRAY_COUNT]; /* float arrays by id; NULL for the bits */
    bnnpan_unit *units;                      /* (N, 4) */
};

static inline const bnnpan_unit *bnnpan_model_unit(const bnnpan_model *model, int32_t block, int32_t sub_band) {
    return &model->units[block * BNNPAN_SUB_BANDS + sub_band];
}

/* Window sides are even and positive. */
static inline int bnnpan_size_is_valid(int32_t height, int32_t width) {
    return height >= 2 && width >= 2 && height <= BNNPAN_MAX_SIDE && width <= BNNPAN_MAX_SIDE && height % 2 == 0 &&
           width % 2 == 0;
}

/* Kernels by name, or the best ones for NULL; NULL when not available on this processor. */
const bnnpan_kernels *bnnpan_find_kernels(const char *isa);

#endif
