/* Every stage by itself, on noise, with the working set it has inside the engine: a few rows, whatever the height. */
#define _POSIX_C_SOURCE 199309L

#include <string.h>

#include "../engine/window.h"
#include "../stages/scene.h"
#include "bench.h"
#include "clock.h"

typedef struct stage_bench {
    const bnnpan_model *model;
    bnnpan_window window; /* of its trunk, x, packed and outputs also serve the stages of one block */
    bnnpan_scene scene;
    float *noise;         /* (4, C, stride) one row of the sub-bands, never written */
    uint32_t *next;       /* (words, packed_stride) */
    int32_t *sums;        /* (C, stride) */
    float *affines;       /* (N, 2, C) */
    float *pixels;        /* (bands + 1, split row) */
    double untimed;       /* seconds spent on filling rows, to take off */
} stage_bench;

static size_t lay_out(stage_bench *bench, const bnnpan_model *model, const bnnpan_tile *tile, void *memory) {
    const bnnpan_shape *shape = &model->shape;
    const size_t channels = (size_t)shape->channels, planes = (size_t)shape->bands + 1;
    const bnnpan_trunk *trunk = &bench->window.trunk;
    bnnpan_arena arena = bnnpan_arena_open(memory);
    bench->model = model;
    bnnpan_window_layout(&bench->window, &arena, model, tile->height, tile->width);
    bnnpan_scene_layout(&bench->scene, &arena, model->kernels, tile, shape->bands);
    bench->noise = bnnpan_arena_take(&arena, BNNPAN_SUB_BANDS * bnnpan_sub_band_floats(trunk), sizeof(float));
    bench->next = bnnpan_arena_take(&arena, bnnpan_packed_words(trunk), sizeof(uint32_t));
    bench->sums = bnnpan_arena_take(&arena, bnnpan_sub_band_floats(trunk), sizeof(int32_t));
    bench->affines = bnnpan_arena_take(&arena, (size_t)shape->blocks * 2 * channels, sizeof(float));
    bench->pixels = bnnpan_arena_take(&arena, planes * (size_t)bnnpan_split_floats(trunk->cols), sizeof(float));
    return bnnpan_arena_bytes(&arena);
}

/* Uniform in -1 .. 1. */
static float noise(uint32_t *state) {
    *state = *state * UINT32_C(1664525) + UINT32_C(1013904223);
    return (float)(*state >> 8) / 8388608.0f - 1.0f;
}

static void no_reader(void *context, int32_t y, float *rows) { (void)context, (void)y, (void)rows; }
static void no_writer(void *context, int32_t y, const float *rows) { (void)context, (void)y, (void)rows; }
static void no_sink(void *context, int32_t row, const float *x, int32_t stride) {
    (void)context, (void)row, (void)x, (void)stride;
}

/* Noise where rows hold pixels; the zeros around them stay. */
static void fill_pixels(float *rows, int32_t planes, int32_t n, uint32_t *state) {
    for (int32_t plane = 0; plane < planes; plane++) {
        float *row = rows + (size_t)plane * (size_t)bnnpan_split_floats(n);
        for (int32_t j = 0; j < n; j++) {
            bnnpan_even(row)[j] = noise(state);
            bnnpan_odd(row, n)[j] = noise(state);
        }
    }
}

static void fill(stage_bench *bench) {
    const bnnpan_trunk *trunk = &bench->window.trunk;
    const bnnpan_image *image = &bench->window.image;
    const bnnpan_shape *shape = &bench->model->shape;
    const size_t row = BNNPAN_SUB_BANDS * bnnpan_sub_band_floats(trunk);
    const size_t packed = BNNPAN_SUB_BANDS * BNNPAN_PACKED_ROWS * bnnpan_packed_words(trunk);
    const int32_t planes = shape->bands + 1;
    const size_t image_row = (size_t)planes * (size_t)bnnpan_split_floats(trunk->cols);
    uint32_t state = 1;
    for (size_t i = 0; i < row; i++) bench->noise[i] = noise(&state);
    for (size_t i = 0; i < packed; i++) trunk->packed[i] = (uint32_t)i * UINT32_C(2654435761);
    for (int32_t c = 0; c < shape->channels; c++)
        trunk->outputs[c] = (bnnpan_output){.keep = 1, .mean = 1, .branch = 0.25f};
    bnnpan_identity_affines(bench->affines, shape->blocks, shape->channels);
    memset(bench->pixels, 0, image_row * sizeof(float));
    fill_pixels(bench->pixels, planes, trunk->cols, &state);
    bnnpan_image_start(&bench->window.image, no_reader, NULL);
    for (int32_t slot = 0; slot < image->slots; slot++)
        fill_pixels(image->rows + (size_t)slot * image_row, planes, trunk->cols, &state);
    bnnpan_tail_start(&bench->window.tail, no_writer, NULL);
}

/* A fresh row of noise, in the cache like one just computed; not counted. */
static void refill(stage_bench *bench, float *x) {
    const double start = bnnpan_now();
    memcpy(x, bench->noise, BNNPAN_SUB_BANDS * bnnpan_sub_band_floats(&bench->window.trunk) * sizeof(float));
    bench->untimed += bnnpan_now() - start;
}

static void noise_source(void *context, int32_t row, float *x, int32_t stride) {
    (void)row, (void)stride;
    refill(context, x);
}

static bnnpan_packed_rows rows_around(const bnnpan_trunk *trunk, int32_t sub_band, int32_t row) {
    return (bnnpan_packed_rows){
        .row = {bnnpan_packed_row(trunk, 0, sub_band, row), bnnpan_packed_row(trunk, 0, sub_band, row + 1),
                bnnpan_packed_row(trunk, 0, sub_band, row + 2)},
        .stride = trunk->packed_stride,
    };
}

static void pack(stage_bench *bench, int32_t row, int32_t sub_band) {
    const bnnpan_trunk *trunk = &bench->window.trunk;
    bench->model->kernels->pack_row(bench->noise + (size_t)sub_band * bnnpan_sub_band_floats(trunk), trunk->stride,
                                    bnnpan_unit_of(trunk->units, 0, sub_band)->threshold, trunk->units->channels,
                                    bnnpan_packed_row(trunk, 0, sub_band, row), trunk->packed_stride, trunk->cols);
}

static void convolve(stage_bench *bench, int32_t row, int32_t sub_band) {
    const bnnpan_trunk *trunk = &bench->window.trunk;
    const bnnpan_packed_rows around = rows_around(trunk, sub_band, row);
    bench->model->kernels->sums_row(bnnpan_unit_of(trunk->units, 0, sub_band), &around, bench->sums, trunk->cols);
}

static void unit(stage_bench *bench, int32_t row, int32_t sub_band) {
    const bnnpan_trunk *trunk = &bench->window.trunk;
    const bnnpan_packed_rows around = rows_around(trunk, sub_band, row);
    float *x = trunk->x + (size_t)sub_band * bnnpan_sub_band_floats(trunk);
    if (sub_band == 0) refill(bench, trunk->x);
    bench->model->kernels->nbc_row(bnnpan_unit_of(trunk->units, 0, sub_band), trunk->outputs, &around, x,
                                   trunk->stride, trunk->cols, bench->next, trunk->scratch);
}

static void each_sub_band(stage_bench *bench, void (*step)(stage_bench *bench, int32_t row, int32_t sub_band)) {
    for (int32_t row = 0; row < bench->window.trunk.rows; row++)
        for (int32_t sub_band = 0; sub_band < BNNPAN_SUB_BANDS; sub_band++) step(bench, row, sub_band);
}

static void run_once(stage_bench *bench, int32_t stage) {
    bnnpan_trunk *trunk = &bench->window.trunk;
    const int32_t height = bench->window.image.height;
    switch (stage) {
    case BNNPAN_BENCH_PACK: each_sub_band(bench, pack); break;
    case BNNPAN_BENCH_CONVOLVE: each_sub_band(bench, convolve); break;
    case BNNPAN_BENCH_UNIT: each_sub_band(bench, unit); break;
    case BNNPAN_BENCH_TRUNK:
        bnnpan_trunk_run(trunk, trunk->units->blocks, bench->affines, noise_source, bench, no_sink, NULL);
        break;
    case BNNPAN_BENCH_HEAD:
        for (int32_t row = 0; row < trunk->rows; row++)
            bnnpan_head_row(&bench->window.head, row, trunk->x, trunk->stride);
        break;
    case BNNPAN_BENCH_TAIL:
        for (int32_t row = 0; row < trunk->rows; row++)
            bnnpan_tail_row(&bench->window.tail, row, bench->noise, trunk->stride);
        break;
    case BNNPAN_BENCH_LMS:
        bnnpan_scene_start(&bench->scene);
        for (int32_t y = 0; y < height; y++) bnnpan_scene_read(&bench->scene, y, bench->pixels);
        break;
    default:
        for (int32_t y = 0; y < height; y++) bnnpan_scene_write(&bench->scene, y, bench->pixels);
        break;
    }
}

static int core_is_window(const bnnpan_tile *tile) {
    return tile->core_row == 0 && tile->core_col == 0 && tile->core_height == tile->height &&
           tile->core_width == tile->width;
}

size_t bnnpan_bench_arena_bytes(const bnnpan_model *model, const bnnpan_tile *tile) {
    stage_bench bench;
    if (bnnpan_fuse_tile_arena_bytes(model, tile) == 0 || !core_is_window(tile)) return 0;
    return lay_out(&bench, model, tile, NULL);
}

int32_t bnnpan_bench_run(const bnnpan_model *model, const bnnpan_tile *tile, int32_t stage, int32_t repeats,
                         void *memory, size_t arena_bytes, double *seconds) {
    stage_bench bench;
    const int32_t status = bnnpan_tile_status(model, tile);
    if (status != BNNPAN_OK) return status;
    if (seconds == NULL || (uintptr_t)seconds % _Alignof(double) != 0) return BNNPAN_NO_ARGUMENT;
    if (!core_is_window(tile)) return BNNPAN_BAD_TILE;
    if (stage < 0 || stage >= BNNPAN_BENCH_STAGES || repeats < 1) return BNNPAN_BAD_SIZE;
    if (memory == NULL || arena_bytes < bnnpan_bench_arena_bytes(model, tile)) return BNNPAN_SMALL_ARENA;
    lay_out(&bench, model, tile, memory);
    fill(&bench);
    run_once(&bench, stage);
    bench.untimed = 0.0;
    const double start = bnnpan_now();
    for (int32_t i = 0; i < repeats; i++) run_once(&bench, stage);
    *seconds = bnnpan_now() - start - bench.untimed;
    return BNNPAN_OK;
}
