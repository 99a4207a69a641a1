/* The units of a group, prepared for the library's kernels, with their affines. */
#ifndef BNNPAN_LITERT_BLOCKS_H
#define BNNPAN_LITERT_BLOCKS_H

#include "group.h"

typedef struct litert_blocks {
    const bnnpan_units *units;
    int32_t gains[BNNPAN_MAX_BLOCKS], offsets[BNNPAN_MAX_BLOCKS]; /* tensors, or LITERT_NO_TENSOR */
    float *affines;                                               /* (blocks, 2, C) */
    void *memory;
} litert_blocks;

/* Reads the units' constants out of the graph; false when memory is short. Close it in any case. */
bool litert_blocks_open(litert_blocks *blocks, const litert_graph *graph, const litert_group *group,
                        const bnnpan_kernels *kernels);
void litert_blocks_close(litert_blocks *blocks);

/* Whether the affines' tensors have one value per channel. */
bool litert_affines_fit(const litert_blocks *blocks, const litert_context *context);

/* Reads the affines out of their tensors: what a run starts with. */
void litert_read_affines(litert_blocks *blocks, const litert_context *context);

#endif
