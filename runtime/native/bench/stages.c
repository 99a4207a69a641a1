/* Every stage by itself, on noise, with the working set it has inside the engine: a few rows, whatever the height. */
#define _POSIX_C_SOURCE 199309L

#include <string.h>

#include "../engine/model.h"
#include "../stages/head.h"
#include "../stages/scene.h"
#include "../stages/tail.h"
#include "../stages/trunk.h"
#include "bench.h"
#include "clock.h"

enum { PACKED_ROWS = 3 };

typedef struct bench {
    const bnnpan_model *model;
    const bnnpan_kernels *kernels;
    int32_t rows, cols, channels; /* of a sub-band */
    int32_t height;
    int32_t stride, packed_stride;
    size_t packed_words;
    bnnpan_trunk trunk;
    bnnpan_image image;
    bnnpan_head head;
    bnnpan_tail tail;
    bnnpan_scene scene;
    float *noise;           /* (4, C, stride) one row of the sub-bands, never written */
    float *x;               /* (4, C, stride) */
    uint32_t *packed;       /* (4, PACKED_ROWS, words, packed_stride) */
    uint32_t *next;         /* (words, packed_stride) */
    int32_t *sums;          /* (C, stride) */
    bnnpan_output *outputs; /* (C) */
    float *scratch;         /* of nbc_row */
    float *affines;         /* (N, 2, C) */
    float *pixels;          /* (bands + 1, split row) */
    double untimed;         /* seconds spent on filling rows, to take off */
} bench;

static void lay_out(bench *b, bnnpan_arena *arena, const bnnpan_model *model, const bnnpan_tile *tile) {
    const bnnpan_shape *shape = &model->shape;
    b->model = model;
    b->kernels = model->kernels;
    b->channels = shape->channels;
    b->height = tile->height;
    b->rows = tile->height / 2;
    b->cols = tile->width / 2;
    bnnpan_trunk_layout(&b->trunk, arena, model->units, b->rows, b->cols);
    b->stride = b->trunk.stride;
    b->packed_stride = b->trunk.packed_stride;
    b->packed_words = (size_t)model->units->words * (size_t)b->packed_stride;
    const size_t row = BNNPAN_SUB_BANDS * (size_t)b->channels * (size_t)b->stride;
    bnnpan_image_layout(&b->image, arena, shape->bands, tile->height, tile->width, 2 * shape->blocks);
    b->head = (bnnpan_head){model->kernels, model->head, &b->image};
    bnnpan_tail_layout(&b->tail, arena, &b->image, shape->channels);
    b->tail.kernels = model->kernels;
    b->tail.filters = model->tail;
    bnnpan_scene_layout(&b->scene, arena, model->kernels, tile, shape->bands);
    b->noise = bnnpan_arena_take(arena, row, sizeof(float));
    b->x = bnnpan_arena_take(arena, row, sizeof(float));
    b->packed = bnnpan_arena_take(arena, BNNPAN_SUB_BANDS * PACKED_ROWS * b->packed_words, sizeof(uint32_t));
    b->next = bnnpan_arena_take(arena, b->packed_words, sizeof(uint32_t));
    b->sums = bnnpan_arena_take(arena, (size_t)b->channels * (size_t)b->stride, sizeof(int32_t));
    b->outputs = bnnpan_arena_take(arena, (size_t)b->channels, sizeof(bnnpan_output));
    b->scratch = bnnpan_arena_take(arena, bnnpan_nbc_scratch(b->channels), sizeof(float));
    b->affines = bnnpan_arena_take(arena, (size_t)shape->blocks * 2 * (size_t)b->channels, sizeof(float));
    b->pixels = bnnpan_arena_take(arena, ((size_t)shape->bands + 1) * (size_t)bnnpan_split_floats(b->cols),
                                  sizeof(float));
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

static void fill(bench *b) {
    const size_t row = BNNPAN_SUB_BANDS * (size_t)b->channels * (size_t)b->stride;
    const size_t packed = BNNPAN_SUB_BANDS * PACKED_ROWS * b->packed_words;
    const bnnpan_shape *shape = &b->model->shape;
    const int32_t planes = shape->bands + 1;
    uint32_t state = 1;
    for (size_t i = 0; i < row; i++) b->noise[i] = noise(&state);
    for (size_t i = 0; i < packed; i++) b->packed[i] = (uint32_t)i * UINT32_C(2654435761);
    for (int32_t c = 0; c < b->channels; c++) b->outputs[c] = (bnnpan_output){.keep = 1, .mean = 1, .branch = 0.25f};
    for (int32_t block = 0; block < shape->blocks; block++)
        for (int32_t c = 0; c < b->channels; c++) {
            b->affines[2 * block * b->channels + c] = 1.0f;
            b->affines[(2 * block + 1) * b->channels + c] = 0.0f;
        }
    memset(b->pixels, 0, (size_t)planes * (size_t)bnnpan_split_floats(b->cols) * sizeof(float));
    fill_pixels(b->pixels, planes, b->cols, &state);
    bnnpan_image_start(&b->image, no_reader, NULL);
    for (int32_t slot = 0; slot < b->image.slots; slot++)
        fill_pixels(b->image.rows + (size_t)slot * (size_t)planes * (size_t)bnnpan_split_floats(b->cols), planes,
                    b->cols, &state);
}

/* A fresh row of noise, in the cache like one just computed; not counted. */
static void refill(bench *b, float *x) {
    const double start = bnnpan_now();
    memcpy(x, b->noise, BNNPAN_SUB_BANDS * (size_t)b->channels * (size_t)b->stride * sizeof(float));
    b->untimed += bnnpan_now() - start;
}

static void noise_source(void *context, int32_t row, float *x, int32_t stride) {
    (void)row, (void)stride;
    refill(context, x);
}

static uint32_t *packed_row(const bench *b, int32_t sub_band, int32_t row) {
    return b->packed + (size_t)(sub_band * PACKED_ROWS + row % PACKED_ROWS) * b->packed_words;
}

static bnnpan_packed_rows rows_around(const bench *b, int32_t sub_band, int32_t row) {
    return (bnnpan_packed_rows){
        .row = {packed_row(b, sub_band, row), packed_row(b, sub_band, row + 1), packed_row(b, sub_band, row + 2)},
        .stride = b->packed_stride,
    };
}

static void pack(bench *b, int32_t row, int32_t sub_band, size_t start) {
    b->kernels->pack_row(b->noise + start, b->stride, bnnpan_unit_of(b->model->units, 0, sub_band)->threshold,
                         b->channels, packed_row(b, sub_band, row), b->packed_stride, b->cols);
}

static void convolve(bench *b, int32_t row, int32_t sub_band, size_t start) {
    (void)start;
    const bnnpan_packed_rows around = rows_around(b, sub_band, row);
    b->kernels->sums_row(bnnpan_unit_of(b->model->units, 0, sub_band), &around, b->sums, b->cols);
}

static void unit(bench *b, int32_t row, int32_t sub_band, size_t start) {
    const bnnpan_packed_rows around = rows_around(b, sub_band, row);
    if (sub_band == 0) refill(b, b->x);
    b->kernels->nbc_row(bnnpan_unit_of(b->model->units, 0, sub_band), b->outputs, &around, b->x + start, b->stride,
                        b->cols, b->next, b->scratch);
}

static void each_sub_band(bench *b, void (*step)(bench *b, int32_t row, int32_t sub_band, size_t start)) {
    for (int32_t row = 0; row < b->rows; row++)
        for (int32_t sub_band = 0; sub_band < BNNPAN_SUB_BANDS; sub_band++)
            step(b, row, sub_band, (size_t)(sub_band * b->channels) * (size_t)b->stride);
}

static void run_once(bench *b, int32_t stage) {
    switch (stage) {
    case BNNPAN_BENCH_PACK: each_sub_band(b, pack); break;
    case BNNPAN_BENCH_CONVOLVE: each_sub_band(b, convolve); break;
    case BNNPAN_BENCH_UNIT: each_sub_band(b, unit); break;
    case BNNPAN_BENCH_TRUNK:
        bnnpan_trunk_run(&b->trunk, b->model->shape.blocks, b->affines, noise_source, b, no_sink, NULL);
        break;
    case BNNPAN_BENCH_HEAD:
        for (int32_t row = 0; row < b->rows; row++) bnnpan_head_row(&b->head, row, b->x, b->stride);
        break;
    case BNNPAN_BENCH_TAIL:
        for (int32_t row = 0; row < b->rows; row++) bnnpan_tail_row(&b->tail, row, b->noise, b->stride);
        break;
    case BNNPAN_BENCH_LMS:
        bnnpan_scene_start(&b->scene);
        for (int32_t y = 0; y < b->height; y++) bnnpan_scene_read(&b->scene, y, b->pixels);
        break;
    default:
        for (int32_t y = 0; y < b->height; y++) bnnpan_scene_write(&b->scene, y, b->pixels);
        break;
    }
}

static int core_is_window(const bnnpan_tile *tile) {
    return tile->core_row == 0 && tile->core_col == 0 && tile->core_height == tile->height &&
           tile->core_width == tile->width;
}

size_t bnnpan_bench_arena_bytes(const bnnpan_model *model, const bnnpan_tile *tile) {
    bench b;
    bnnpan_arena arena = bnnpan_arena_open(NULL);
    if (bnnpan_fuse_tile_arena_bytes(model, tile) == 0 || !core_is_window(tile)) return 0;
    lay_out(&b, &arena, model, tile);
    return bnnpan_arena_bytes(&arena);
}

int32_t bnnpan_bench_run(const bnnpan_model *model, const bnnpan_tile *tile, int32_t stage, int32_t repeats,
                         void *memory, size_t arena_bytes, double *seconds) {
    bench b;
    const size_t needed = bnnpan_bench_arena_bytes(model, tile);
    if (seconds == NULL || needed == 0) return BNNPAN_NO_ARGUMENT;
    const int32_t status = bnnpan_tile_status(model, tile);
    if (status != BNNPAN_OK) return status;
    if (stage < 0 || stage >= BNNPAN_BENCH_STAGES || repeats < 1) return BNNPAN_BAD_SIZE;
    if (memory == NULL || arena_bytes < needed) return BNNPAN_SMALL_ARENA;
    bnnpan_arena arena = bnnpan_arena_open(memory);
    lay_out(&b, &arena, model, tile);
    bnnpan_tail_start(&b.tail, no_writer, NULL);
    fill(&b);
    run_once(&b, stage);
    b.untimed = 0.0;
    const double start = bnnpan_now();
    for (int32_t i = 0; i < repeats; i++) run_once(&b, stage);
    *seconds = bnnpan_now() - start - b.untimed;
    return BNNPAN_OK;
}
