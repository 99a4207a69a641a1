/* Timings of the engine from within, for `bnnpan bench`: exported, but no part of the public ABI. */
#ifndef BNNPAN_BENCH_H
#define BNNPAN_BENCH_H

#include "../bnnpan.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Parts of the way from DN to DN, each once over a window whose rows are in the cache, as the part before leaves
 * them. */
typedef enum bnnpan_bench_stage {
    BNNPAN_BENCH_PACK,     /* signs of one block's input to bits */
    BNNPAN_BENCH_CONVOLVE, /* binary convolution of one block, sums of signs and nothing else */
    BNNPAN_BENCH_UNIT,     /* the four NBC units of one block and their affine, signs for the next block included */
    BNNPAN_BENCH_TRUNK,    /* all blocks as a wavefront */
    BNNPAN_BENCH_HEAD,     /* head convolution and Haar transform */
    BNNPAN_BENCH_TAIL,     /* inverse Haar transform, tail convolution, plus LMS */
    BNNPAN_BENCH_LMS,      /* DN to network units, MS interpolated to the PAN grid */
    BNNPAN_BENCH_QUANTISE, /* network units to DN */
    BNNPAN_BENCH_STAGES
} bnnpan_bench_stage;

/* Scratch for bnnpan_bench_run; 0 when the tile is not valid, or its core is not the whole window. */
BNNPAN_API size_t bnnpan_bench_arena_bytes(const bnnpan_model *model, const bnnpan_tile *tile);

/* Runs a stage `repeats` times over the window of a tile, which bnnpan_fuse_tile must accept and whose core is the
 * whole window; *seconds is what they took together, filling the caches not counted. A bnnpan_status, BNNPAN_BAD_SIZE
 * also for a stage or a number of repeats out of range. */
BNNPAN_API int32_t bnnpan_bench_run(const bnnpan_model *model, const bnnpan_tile *tile, int32_t stage,
                                    int32_t repeats, void *arena, size_t arena_bytes, double *seconds);

/* What an instruction set (NULL: the best one) reaches on this processor now, one thread, nothing but the arithmetic:
 * 1-bit and float32 multiply-accumulates per second. BNNPAN_BAD_SIZE when it is not available here. */
BNNPAN_API int32_t bnnpan_bench_peaks(const char *isa, double *binary, double *fused);

#ifdef __cplusplus
}
#endif
#endif
