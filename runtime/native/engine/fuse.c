/* A whole window in network units, or a tile from DN to DN. */
#include "../stages/planes.h"
#include "../stages/scene.h"
#include "window.h"

#include <float.h>

size_t bnnpan_fuse_arena_bytes(const bnnpan_model *model, int32_t height, int32_t width) {
    bnnpan_window window;
    bnnpan_arena arena = bnnpan_arena_open(NULL);
    if (model == NULL || !bnnpan_size_is_valid(height, width)) return 0;
    bnnpan_window_layout(&window, &arena, model, height, width);
    return bnnpan_arena_bytes(&arena);
}

int32_t bnnpan_fuse(const bnnpan_model *model, int32_t height, int32_t width, const float *pan, const float *lms,
                    const float *affines, float *out, void *memory, size_t arena_bytes) {
    if (model == NULL) return BNNPAN_NO_ARGUMENT;
    if (!bnnpan_size_is_valid(height, width)) return BNNPAN_BAD_SIZE;
    if (!bnnpan_is_aligned(pan) || !bnnpan_is_aligned(lms) || !bnnpan_is_aligned(affines) || !bnnpan_is_aligned(out))
        return BNNPAN_NO_ARGUMENT;
    if (memory == NULL || arena_bytes < bnnpan_fuse_arena_bytes(model, height, width)) return BNNPAN_SMALL_ARENA;
    bnnpan_window window;
    bnnpan_arena arena = bnnpan_arena_open(memory);
    bnnpan_planes planes = {model->kernels, pan, lms, out, model->shape.bands, height, width};
    bnnpan_window_layout(&window, &arena, model, height, width);
    bnnpan_window_run(&window, affines, 0, height - 1, bnnpan_planes_read, bnnpan_planes_write, &planes);
    return BNNPAN_OK;
}

static int axis_is_valid(const bnnpan_axis *axis, int32_t phase) {
    return axis->ratio >= 1 && axis->ratio <= BNNPAN_MAX_RATIO && axis->taps >= 1 && axis->taps <= BNNPAN_MAX_TAPS &&
           phase >= 0 && phase < axis->ratio;
}

static int scale_is_valid(float scale) { return scale > 0.0f && scale <= FLT_MAX; }

static int units_are_given(const bnnpan_tile *tile) {
    const int injects = tile->injected != NULL || tile->shrunk != NULL;
    return bnnpan_is_aligned(tile->ms_offset) && bnnpan_is_aligned(tile->ms_scale) &&
           (!injects || (bnnpan_is_aligned(tile->injected) && bnnpan_is_aligned(tile->shrunk)));
}

static int units_are_valid(const bnnpan_tile *tile, int32_t bands) {
    for (int32_t band = 0; band < bands; band++)
        if (!scale_is_valid(tile->ms_scale[band])) return 0;
    return scale_is_valid(tile->pan_scale);
}

static int part_is_valid(int32_t start, int32_t count, int32_t length) {
    return start >= 0 && count >= 1 && start <= length - count;
}

int32_t bnnpan_tile_status(const bnnpan_model *model, const bnnpan_tile *tile) {
    if (model == NULL || tile == NULL || !bnnpan_is_aligned(tile->rows.weights) ||
        !bnnpan_is_aligned(tile->cols.weights) || !units_are_given(tile))
        return BNNPAN_NO_ARGUMENT;
    if (!bnnpan_size_is_valid(tile->height, tile->width)) return BNNPAN_BAD_SIZE;
    if (tile->sample < 0 || tile->sample >= BNNPAN_SAMPLE_COUNT || tile->pan_stride < tile->width ||
        !axis_is_valid(&tile->rows, tile->row_phase) || !axis_is_valid(&tile->cols, tile->col_phase) ||
        !units_are_valid(tile, model->shape.bands) ||
        !part_is_valid(tile->core_row, tile->core_height, tile->height) ||
        !part_is_valid(tile->core_col, tile->core_width, tile->width))
        return BNNPAN_BAD_TILE;
    return bnnpan_scene_is_given(tile) ? BNNPAN_OK : BNNPAN_NO_ARGUMENT;
}

static size_t lay_out_tile(bnnpan_window *window, bnnpan_scene *scene, const bnnpan_model *model,
                           const bnnpan_tile *tile, void *memory) {
    bnnpan_arena arena = bnnpan_arena_open(memory);
    bnnpan_window_layout(window, &arena, model, tile->height, tile->width);
    bnnpan_scene_layout(scene, &arena, model->kernels, tile, model->shape.bands);
    return bnnpan_arena_bytes(&arena);
}

size_t bnnpan_fuse_tile_arena_bytes(const bnnpan_model *model, const bnnpan_tile *tile) {
    bnnpan_window window;
    bnnpan_scene scene;
    if (model == NULL || tile == NULL || !bnnpan_size_is_valid(tile->height, tile->width) ||
        !axis_is_valid(&tile->rows, tile->row_phase) || !axis_is_valid(&tile->cols, tile->col_phase))
        return 0;
    return lay_out_tile(&window, &scene, model, tile, NULL);
}

int32_t bnnpan_fuse_tile(const bnnpan_model *model, const bnnpan_tile *tile, const float *affines, void *memory,
                         size_t arena_bytes) {
    bnnpan_window window;
    bnnpan_scene scene;
    const int32_t status = bnnpan_tile_status(model, tile);
    if (status != BNNPAN_OK) return status;
    if (!bnnpan_is_aligned(affines)) return BNNPAN_NO_ARGUMENT;
    if (memory == NULL || arena_bytes < bnnpan_fuse_tile_arena_bytes(model, tile)) return BNNPAN_SMALL_ARENA;
    lay_out_tile(&window, &scene, model, tile, memory);
    bnnpan_scene_start(&scene);
    bnnpan_window_run(&window, affines, tile->core_row, tile->core_row + tile->core_height - 1, bnnpan_scene_read,
                      bnnpan_scene_write, &scene);
    return BNNPAN_OK;
}
