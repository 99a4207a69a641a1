/* The NBC units of a trunk, prepared for the kernels: N blocks of four, one per sub-band. */
#ifndef BNNPAN_UNITS_H
#define BNNPAN_UNITS_H

#include "../bnnpan.h"
#include "../kernels/kernels.h"
#include "arena.h"

/* Parameters of a unit, (C) each, in the order they are given. */
enum {
    BNNPAN_UNIT_SHIFT,
    BNNPAN_UNIT_SCALE,
    BNNPAN_UNIT_GAMMA,
    BNNPAN_UNIT_BETA,
    BNNPAN_UNIT_ZETA,
    BNNPAN_UNIT_INVERSE_LAMBDA,
    BNNPAN_UNIT_PHI,
    BNNPAN_UNIT_ETA,
    BNNPAN_UNIT_PARAMETERS
};

typedef struct bnnpan_units {
    const bnnpan_kernels *kernels;
    int32_t channels, blocks, words;
    int32_t outer_skip;
    bnnpan_unit *unit; /* (N, 4) */
} bnnpan_units;

static inline const bnnpan_unit *bnnpan_unit_of(const bnnpan_units *units, int32_t block, int32_t sub_band) {
    return &units->unit[block * BNNPAN_SUB_BANDS + sub_band];
}

/* Bytes of the packed filters of one unit: (C, 3, 3, 4 * ceil(C / 32)). */
size_t bnnpan_unit_bits_bytes(int32_t channels);

/* Memory for bnnpan_units_prepare. */
size_t bnnpan_units_bytes(int32_t channels, int32_t blocks);

/* Prepares units in `memory`, at any alignment; nothing given is needed afterwards.
 * bits          (N, 4, C, 3, 3, 4 * ceil(C / 32)), as BNNPAN_TRUNK_BITS
 * parameters    each (4, C) of block 0; block n lies n * block_stride floats further */
bnnpan_units *bnnpan_units_prepare(void *memory, const bnnpan_kernels *kernels, int32_t channels, int32_t blocks,
                                   int32_t outer_skip, const uint8_t *bits,
                                   const float *const parameters[BNNPAN_UNIT_PARAMETERS], size_t block_stride);

#endif
