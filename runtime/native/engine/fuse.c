/* One window: image rows -> head and Haar -> trunk -> inverse Haar and tail -> + LMS, streamed row by row.
 *
 * The arena grows with the width w only: about 4 w (4 C (N + 3) + (B + 1) (2 N + 4)) bytes, 0.8 MiB for C = 32, N = 4,
 * B = 4, w = 280. */
#include "../stages/head.h"
#include "../stages/planes.h"
#include "../stages/scene.h"
#include "../stages/tail.h"
#include "../stages/trunk.h"
#include "model.h"

typedef struct fuse_stages {
    bnnpan_image image;
    bnnpan_head head;
    bnnpan_trunk trunk;
    bnnpan_tail tail;
} fuse_stages;

static void lay_out(fuse_stages *stages, bnnpan_arena *arena, const bnnpan_model *model, int32_t height,
                    int32_t width) {
    /* The last block is `blocks` rows of sub-bands, two image rows each, behind the head. */
    bnnpan_image_layout(&stages->image, arena, model->shape.bands, height, width, 2 * model->shape.blocks);
    stages->head = (bnnpan_head){model->kernels, model->head, &stages->image};
    bnnpan_trunk_layout(&stages->trunk, arena, model->units, height / 2, width / 2);
    bnnpan_tail_layout(&stages->tail, arena, &stages->image, model->shape.channels);
    stages->tail.kernels = model->kernels;
    stages->tail.filters = model->tail;
}

/* Writes image rows first_row to last_row. */
static void run(fuse_stages *stages, int32_t blocks, const float *affines, int32_t first_row, int32_t last_row,
                bnnpan_row_reader *reader, bnnpan_row_writer *writer, void *context) {
    stages->tail.first_row = first_row;
    stages->tail.last_row = last_row;
    /* The tail reads one image row more on either side. */
    stages->trunk.first_needed = (first_row - 1) / 2;
    stages->trunk.last_needed = (last_row + 1) / 2;
    bnnpan_image_start(&stages->image, reader, context);
    bnnpan_tail_start(&stages->tail, writer, context);
    bnnpan_trunk_run(&stages->trunk, blocks, affines, bnnpan_head_row, &stages->head, bnnpan_tail_row, &stages->tail);
}

size_t bnnpan_fuse_arena_bytes(const bnnpan_model *model, int32_t height, int32_t width) {
    fuse_stages stages;
    bnnpan_arena arena = bnnpan_arena_open(NULL);
    if (model == NULL || !bnnpan_size_is_valid(height, width)) return 0;
    lay_out(&stages, &arena, model, height, width);
    return bnnpan_arena_bytes(&arena);
}

int32_t bnnpan_fuse(const bnnpan_model *model, int32_t height, int32_t width, const float *pan, const float *lms,
                    const float *affines, float *out, void *memory, size_t arena_bytes) {
    if (model == NULL) return BNNPAN_NO_ARGUMENT;
    if (!bnnpan_size_is_valid(height, width)) return BNNPAN_BAD_SIZE;
    if (!bnnpan_is_aligned(pan) || !bnnpan_is_aligned(lms) || !bnnpan_is_aligned(affines) || !bnnpan_is_aligned(out))
        return BNNPAN_NO_ARGUMENT;
    if (memory == NULL || arena_bytes < bnnpan_fuse_arena_bytes(model, height, width)) return BNNPAN_SMALL_ARENA;
    fuse_stages stages;
    bnnpan_arena arena = bnnpan_arena_open(memory);
    bnnpan_planes planes = {model->kernels, pan, lms, out, model->shape.bands, height, width};
    lay_out(&stages, &arena, model, height, width);
    run(&stages, model->shape.blocks, affines, 0, height - 1, bnnpan_planes_read, bnnpan_planes_write, &planes);
    return BNNPAN_OK;
}

static int axis_is_valid(const bnnpan_axis *axis, int32_t phase) {
    return axis->ratio >= 1 && axis->ratio <= BNNPAN_MAX_RATIO && axis->taps >= 1 && axis->taps <= BNNPAN_MAX_TAPS &&
           phase >= 0 && phase < axis->ratio;
}

static int part_is_valid(int32_t start, int32_t count, int32_t length) {
    return start >= 0 && count >= 1 && start <= length - count;
}

int32_t bnnpan_tile_status(const bnnpan_model *model, const bnnpan_tile *tile) {
    if (model == NULL || tile == NULL || !bnnpan_is_aligned(tile->rows.weights) ||
        !bnnpan_is_aligned(tile->cols.weights))
        return BNNPAN_NO_ARGUMENT;
    if (!bnnpan_size_is_valid(tile->height, tile->width)) return BNNPAN_BAD_SIZE;
    if (tile->sample < 0 || tile->sample >= BNNPAN_SAMPLE_COUNT || !axis_is_valid(&tile->rows, tile->row_phase) ||
        !axis_is_valid(&tile->cols, tile->col_phase) || !(tile->dn_scale > 0.0f) ||
        !part_is_valid(tile->core_row, tile->core_height, tile->height) ||
        !part_is_valid(tile->core_col, tile->core_width, tile->width))
        return BNNPAN_BAD_TILE;
    return bnnpan_scene_is_given(tile) ? BNNPAN_OK : BNNPAN_NO_ARGUMENT;
}

static size_t lay_out_tile(fuse_stages *stages, bnnpan_scene *scene, const bnnpan_model *model,
                           const bnnpan_tile *tile, void *memory) {
    bnnpan_arena arena = bnnpan_arena_open(memory);
    lay_out(stages, &arena, model, tile->height, tile->width);
    bnnpan_scene_layout(scene, &arena, model->kernels, tile, model->shape.bands);
    return bnnpan_arena_bytes(&arena);
}

size_t bnnpan_fuse_tile_arena_bytes(const bnnpan_model *model, const bnnpan_tile *tile) {
    fuse_stages stages;
    bnnpan_scene scene;
    if (model == NULL || tile == NULL || !bnnpan_size_is_valid(tile->height, tile->width) ||
        !axis_is_valid(&tile->rows, tile->row_phase) || !axis_is_valid(&tile->cols, tile->col_phase))
        return 0;
    return lay_out_tile(&stages, &scene, model, tile, NULL);
}

int32_t bnnpan_fuse_tile(const bnnpan_model *model, const bnnpan_tile *tile, const float *affines, void *memory,
                         size_t arena_bytes) {
    fuse_stages stages;
    bnnpan_scene scene;
    const int32_t status = bnnpan_tile_status(model, tile);
    if (status != BNNPAN_OK) return status;
    if (!bnnpan_is_aligned(affines)) return BNNPAN_NO_ARGUMENT;
    if (memory == NULL || arena_bytes < bnnpan_fuse_tile_arena_bytes(model, tile)) return BNNPAN_SMALL_ARENA;
    lay_out_tile(&stages, &scene, model, tile, memory);
    bnnpan_scene_start(&scene);
    run(&stages, model->shape.blocks, affines, tile->core_row, tile->core_row + tile->core_height - 1,
        bnnpan_scene_read, bnnpan_scene_write, &scene);
    return BNNPAN_OK;
}
