/* The innermost arithmetic of the network with all operands in registers, per instruction set (kernels/peaks.c). */
#ifndef BNNPAN_PEAKS_H
#define BNNPAN_PEAKS_H

#include <stdint.h>

enum {
    BNNPAN_PEAK_BLOCK = 27,                       /* weights that the binary loop takes between two totals */
    BNNPAN_PEAK_WEIGHTS = 64 * BNNPAN_PEAK_BLOCK, /* of both loops, which stream them from the first-level cache */
    BNNPAN_PEAK_WORDS = BNNPAN_PEAK_WEIGHTS + 16  /* what they may read */
};

typedef struct bnnpan_peak_loops {
    int32_t binary_macs, fused_macs; /* per weight */
    /* Results that depend on all of the work, so that none of it can be left out. */
    uint32_t (*binary)(const uint32_t *weights);
    float (*fused)(const float *weights);
} bnnpan_peak_loops;

#endif
