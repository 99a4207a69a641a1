/* One window: head -> Haar -> trunk -> inverse Haar -> tail -> + LMS, streamed row by row.
 *
 * Arena, in 4-byte values, w = width, parts rounded up to 64 bytes:
 *   image rows 4 (B+1) (w+2) + pair 2 w + trunk rows (N+1) 4 C roundup16(w/2) + packed 4 N 3 W (w/2+2)
 *   + packed zeros W (w/2+2) + NBC scratch 64 (C+5) + tail rows 4 C (w+2) + zeros (w+2),
 * W = ceil(C/32) words. About 4 C w (2 N + 6) bytes: 0.5 MiB for C = 32, N = 4, w = 280. */
#include "tail.h"
#include "trunk.h"

typedef struct fuse_stages {
    bnnpan_trunk trunk;
    bnnpan_tail tail;
} fuse_stages;

static size_t lay_out(fuse_stages *stages, const bnnpan_model *model, int32_t height, int32_t width, void *buffer) {
    bnnpan_arena arena = bnnpan_arena_open(buffer);
    bnnpan_trunk_layout(&stages->trunk, &arena, model, height, width);
    bnnpan_tail_layout(&stages->tail, &arena, model, height, width);
    return bnnpan_arena_bytes(&arena);
}

size_t bnnpan_fuse_arena_bytes(const bnnpan_model *model, int32_t height, int32_t width) {
    fuse_stages stages;
    return bnnpan_size_is_valid(height, width) ? lay_out(&stages, model, height, width, NULL) : 0;
}

int32_t bnnpan_fuse(const bnnpan_model *model, int32_t height, int32_t width, const float *pan, const float *lms,
                    const float *affines, float *out, void *arena, size_t arena_bytes) {
    fuse_stages stages;
    if (!bnnpan_size_is_valid(height, width)) return BNNPAN_BAD_SIZE;
    if (arena == NULL || arena_bytes < bnnpan_fuse_arena_bytes(model, height, width)) return BNNPAN_SMALL_ARENA;
    lay_out(&stages, model, height, width, arena);
    bnnpan_tail_start(&stages.tail, lms, out);
    bnnpan_trunk_run(&stages.trunk, pan, lms, model->shape.blocks, affines, bnnpan_tail_row, &stages.tail);
    return BNNPAN_OK;
}
