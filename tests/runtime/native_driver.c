/* Runs the library on random networks of every kind of size and prints one hash of all results: built with sanitizers,
 * at other optimisation levels, over other vocabularies and for other processors, it must print the same. Exit status 1
 * names a failed expectation. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bnnpan.h"

static uint32_t state = 1;

static uint32_t random_word(void) {
    state = state * 1664525u + 1013904223u;
    return state >> 8;
}

/* Uniform in first .. last. */
static int32_t whole(int32_t first, int32_t last) {
    return first + (int32_t)(random_word() % (uint32_t)(last - first + 1));
}

/* Uniform in -1 .. 1, exact in float. */
static float noise(void) { return (float)random_word() / 8388608.0f - 1.0f; }

static void expect(int holds, const char *what) {
    if (holds) return;
    fprintf(stderr, "expected: %s\n", what);
    exit(1);
}

/* Exact allocations, so that an address sanitizer sees every step beyond them. */
static void *exact(size_t count, size_t size) {
    void *memory = malloc(count * size);
    expect(memory != NULL, "memory");
    return memory;
}

static float *noise_array(size_t count, float centre, float spread) {
    float *values = exact(count, sizeof(float));
    for (size_t i = 0; i < count; i++) values[i] = centre + spread * noise();
    return values;
}

static uint64_t hash_of(uint64_t hash, const void *memory, size_t bytes) {
    const unsigned char *byte = memory;
    for (size_t i = 0; i < bytes; i++) hash = (hash ^ byte[i]) * 1099511628211u;
    return hash;
}

/* Models */

static uint8_t *noise_bits(size_t filters, int32_t channels, size_t *bytes) {
    const size_t packed = 4 * (((size_t)channels + 31) / 32);
    *bytes = filters * 9 * packed;
    uint8_t *bits = exact(*bytes, 1);
    memset(bits, 0, *bytes);
    for (size_t tap = 0; tap < filters * 9; tap++)
        for (int32_t i = 0; i < channels; i++)
            if (noise() < 0) bits[tap * packed + (size_t)i / 8] |= (uint8_t)(1u << i % 8);
    return bits;
}

/* Weights such that features keep their order of magnitude. */
static float spread_of(int id, const bnnpan_shape *s) {
    if (id == BNNPAN_TRUNK_SCALE) return 0.5f / (float)s->channels;
    if (id == BNNPAN_TAIL_WEIGHT || id == BNNPAN_CDC_WEIGHT) return 1.0f / (float)(8 + s->channels);
    return 0.125f;
}

static void random_arrays(const bnnpan_shape *s, bnnpan_array arrays[BNNPAN_ARRAY_COUNT]) {
    const size_t b = (size_t)s->bands, c = (size_t)s->channels, n = (size_t)s->blocks, l = (size_t)s->latent;
    const size_t t = (size_t)s->prior_steps, u = 4 * n * c;
    const size_t counts[BNNPAN_ARRAY_COUNT] = {
        c * (b + 1) * 9, c, b * c * 9, b, 0, u, u, u, u, u, u, u, u, n * 2 * c * l, n * 2 * c, n * c * 3 * c, n * c,
        l * (b + 1) * 9, l, l * l, l, l * l, l, l * (2 * l + 1), l, l * l, l, t, t, l};
    for (int id = 0; id < BNNPAN_ARRAY_COUNT; id++) {
        const float centre = id == BNNPAN_TRUNK_INVERSE_LAMBDA || id == BNNPAN_TRUNK_BETA ? 0.25f : 0.0f;
        arrays[id].bytes = counts[id] * sizeof(float);
        if (id == BNNPAN_TRUNK_BITS)
            arrays[id].data = noise_bits(u, s->channels, &arrays[id].bytes);
        else
            arrays[id].data = noise_array(counts[id], centre, spread_of(id, s));
    }
}

static void free_arrays(const bnnpan_array arrays[BNNPAN_ARRAY_COUNT]) {
    for (int id = 0; id < BNNPAN_ARRAY_COUNT; id++) free((void *)(uintptr_t)arrays[id].data);
}

static bnnpan_model *random_model(const bnnpan_shape *shape) {
    bnnpan_array arrays[BNNPAN_ARRAY_COUNT];
    random_arrays(shape, arrays);
    bnnpan_model *model = bnnpan_model_create(shape, arrays, NULL);
    expect(model != NULL, "a model");
    free_arrays(arrays);
    return model;
}

/* Windows in network units */

typedef struct window {
    const bnnpan_model *model;
    const bnnpan_shape *shape;
    int32_t height, width;
    float *affines;
} window;

static size_t pixels_of(const window *w) { return (size_t)w->height * (size_t)w->width; }
static size_t affines_of(const bnnpan_shape *s) { return (size_t)(s->blocks * 2 * s->channels); }

static uint64_t run_calibrate(uint64_t hash, const window *w, int32_t count) {
    const size_t pixels = (size_t)count * pixels_of(w), bands = (size_t)w->shape->bands;
    float *pan = noise_array(pixels, 0.5f, 0.5f), *lms = noise_array(pixels * bands, 0.5f, 0.5f);
    const size_t bytes = bnnpan_calibrate_arena_bytes(w->model, w->height, w->width), past = random_word() % 64;
    char *arena = exact(bytes + past, 1);
    memset(arena, 0xff, bytes + past);
    expect(bnnpan_calibrate(w->model, count, w->height, w->width, pan, lms, w->affines, arena + past, bytes) ==
               BNNPAN_OK, "calibrate");
    free(arena);
    free(pan);
    free(lms);
    return hash_of(hash, w->affines, affines_of(w->shape) * sizeof(float));
}

static uint64_t run_fuse(uint64_t hash, const window *w) {
    const size_t pixels = pixels_of(w), values = pixels * (size_t)w->shape->bands;
    float *pan = noise_array(pixels, 0.5f, 0.5f), *lms = noise_array(values, 0.5f, 0.5f);
    float *out = exact(values, sizeof(float));
    const size_t bytes = bnnpan_fuse_arena_bytes(w->model, w->height, w->width), past = random_word() % 64;
    char *arena = exact(bytes + past, 1);
    memset(arena, 0xff, bytes + past);
    expect(bnnpan_fuse(w->model, w->height, w->width, pan, lms, w->affines, out, arena + past, bytes) == BNNPAN_OK,
           "fuse");
    hash = hash_of(hash, out, values * sizeof(float));
    free(arena);
    free(pan);
    free(lms);
    free(out);
    return hash;
}

/* Tiles in DN */

static const size_t SAMPLE_BYTES[BNNPAN_SAMPLE_COUNT] = {1, 2, 2, 4};

static void *noise_samples(int32_t sample, size_t count) {
    void *samples = exact(count, SAMPLE_BYTES[sample]);
    for (size_t i = 0; i < count; i++) {
        const int32_t dn = whole(0, 9) ? whole(0, 2047) : whole(-32768, 65535);
        if (sample == BNNPAN_UINT8) ((uint8_t *)samples)[i] = (uint8_t)dn;
        else if (sample == BNNPAN_UINT16) ((uint16_t *)samples)[i] = (uint16_t)dn;
        else if (sample == BNNPAN_INT16) ((int16_t *)samples)[i] = (int16_t)(dn % 32768);
        else ((float *)samples)[i] = (float)dn + noise();
    }
    return samples;
}

/* Some weights are 0, with few taps those of whole phases. */
static bnnpan_axis random_axis(int32_t ratio, int32_t *phase) {
    const int32_t taps = whole(0, 2) ? whole(1, 23) : 1;
    float *weights = noise_array((size_t)(ratio * taps), 0.125f, 0.25f);
    for (int32_t i = 0; i < ratio * taps; i++)
        if (whole(0, 4) == 0) weights[i] = 0.0f;
    *phase = whole(0, ratio - 1);
    return (bnnpan_axis){ratio, taps, weights};
}

static size_t ms_length(const bnnpan_axis *axis, int32_t phase, int32_t count) {
    return (size_t)((phase + count - 1) / axis->ratio + axis->taps);
}

static size_t ms_pixels_of(const bnnpan_tile *tile) {
    return ms_length(&tile->rows, tile->row_phase, tile->height) * ms_length(&tile->cols, tile->col_phase, tile->width);
}

/* As a scene's might be, or plain ones that inject nothing. */
static void random_units(bnnpan_tile *tile, int32_t bands) {
    const float scale = tile->sample == BNNPAN_UINT8 ? 255.0f : 2047.0f;
    const size_t count = (size_t)bands;
    const int injects = whole(0, 2) != 0;
    tile->pan_offset = injects ? 0.5f * scale : 0.0f;
    tile->pan_scale = injects ? 0.25f * scale : scale;
    tile->ms_offset = noise_array(count, tile->pan_offset, 0.25f * tile->pan_offset);
    tile->ms_scale = noise_array(count, tile->pan_scale, 0.5f * tile->pan_offset);
    tile->injected = injects ? noise_array(count, 0.5f, 0.5f) : NULL;
    tile->shrunk = injects ? noise_array(ms_pixels_of(tile), 0.0f, 2.0f) : NULL;
}

static void free_units(const bnnpan_tile *tile) {
    const float *const arrays[] = {tile->ms_offset, tile->ms_scale, tile->injected, tile->shrunk};
    for (size_t i = 0; i < sizeof arrays / sizeof arrays[0]; i++) free((void *)(uintptr_t)arrays[i]);
}

static bnnpan_tile random_tile(const window *w, int32_t sample) {
    bnnpan_tile tile = {.sample = sample, .height = w->height, .width = w->width};
    tile.rows = random_axis(whole(1, 6), &tile.row_phase);
    tile.cols = random_axis(whole(2, 6), &tile.col_phase);
    tile.pan_stride = w->width + whole(0, 5);
    tile.core_row = whole(0, w->height - 1);
    tile.core_col = whole(0, w->width - 1);
    tile.core_height = whole(1, w->height - tile.core_row);
    tile.core_width = whole(1, w->width - tile.core_col);
    random_units(&tile, w->shape->bands);
    tile.has_pan_nodata = whole(0, 1);
    tile.has_ms_nodata = whole(0, 1);
    tile.pan_nodata = (float)whole(0, 9);
    tile.ms_nodata = (float)whole(0, 9);
    return tile;
}

static uint64_t run_tile(uint64_t hash, const window *w, int32_t sample) {
    bnnpan_tile tile = random_tile(w, sample);
    const size_t ms_pixels = ms_pixels_of(&tile), core = (size_t)(w->shape->bands * tile.core_height * tile.core_width);
    const size_t pan_pixels = (size_t)(w->height - 1) * (size_t)tile.pan_stride + (size_t)w->width;
    void *pan = noise_samples(sample, pan_pixels), *ms = noise_samples(sample, ms_pixels * (size_t)w->shape->bands);
    void *product = exact(core, SAMPLE_BYTES[sample]);
    const size_t bytes = bnnpan_fuse_tile_arena_bytes(w->model, &tile), past = random_word() % 64;
    char *arena = exact(bytes + past, 1);
    memset(arena, 0xff, bytes + past);
    tile.pan = pan;
    tile.ms = ms;
    tile.product = product;
    expect(bnnpan_fuse_tile(w->model, &tile, w->affines, arena + past, bytes) == BNNPAN_OK, "fuse_tile");
    hash = hash_of(hash, product, core * SAMPLE_BYTES[sample]);
    free(arena);
    free(pan);
    free(ms);
    free(product);
    free_units(&tile);
    free((void *)(uintptr_t)tile.rows.weights);
    free((void *)(uintptr_t)tile.cols.weights);
    return hash;
}

static uint64_t run(uint64_t hash, const bnnpan_shape *shape, int32_t height, int32_t width) {
    bnnpan_model *model = random_model(shape);
    const window w = {model, shape, height, width, exact(affines_of(shape), sizeof(float))};
    hash = run_fuse(run_calibrate(hash, &w, 2), &w);
    for (int32_t sample = 0; sample < BNNPAN_SAMPLE_COUNT; sample++) hash = run_tile(hash, &w, sample);
    free(w.affines);
    bnnpan_model_free(model);
    return hash;
}

/* What is refused */

static void refuse_models(const bnnpan_shape *good) {
    bnnpan_array arrays[BNNPAN_ARRAY_COUNT];
    random_arrays(good, arrays);
    expect(bnnpan_model_create(NULL, arrays, NULL) == NULL, "no model without a shape");
    expect(bnnpan_model_create(good, NULL, NULL) == NULL, "no model without arrays");
    expect(bnnpan_model_create(good, arrays, "abacus") == NULL, "no model for an unknown instruction set");
    for (int id = 0; id < BNNPAN_ARRAY_COUNT; id++) {
        const bnnpan_array array = arrays[id];
        arrays[id].bytes -= 1;
        expect(bnnpan_model_create(good, arrays, NULL) == NULL, "no model for an array that is too short");
        arrays[id] = (bnnpan_array){NULL, array.bytes};
        expect(bnnpan_model_create(good, arrays, NULL) == NULL, "no model for an array that is missing");
        arrays[id] = array;
    }
    for (int field = 0; field < 7; field++) {
        static const int32_t WRONG[] = {-1, 1 << 20, INT32_MAX, INT32_MIN};
        for (size_t i = 0; i < sizeof WRONG / sizeof WRONG[0]; i++) {
            bnnpan_shape shape = *good;
            int32_t *const fields[] = {&shape.bands,       &shape.channels,   &shape.blocks,   &shape.latent,
                                       &shape.prior_steps, &shape.outer_skip, &shape.rectified};
            *fields[field] = WRONG[i];
            expect(bnnpan_model_create(&shape, arrays, NULL) == NULL, "no model for a size out of range");
        }
    }
    free_arrays(arrays);
    bnnpan_model_free(NULL);
}

static void refuse_windows(const window *w, float *memory) {
    static const int32_t WRONG[] = {0, -2, 3, 32770, INT32_MAX, INT32_MIN};
    const bnnpan_model *model = w->model;
    float *const odd = (float *)(void *)((char *)memory + 1); /* passed on, never read through */
    const size_t fuse_bytes = bnnpan_fuse_arena_bytes(model, 2, 2);
    const size_t calibrate_bytes = bnnpan_calibrate_arena_bytes(model, 2, 2);
    for (size_t i = 0; i < sizeof WRONG / sizeof WRONG[0]; i++) {
        const int32_t size = WRONG[i];
        expect(bnnpan_fuse_arena_bytes(model, size, 2) == 0 && bnnpan_fuse_arena_bytes(model, 2, size) == 0 &&
                   bnnpan_calibrate_arena_bytes(model, size, 2) == 0 &&
                   bnnpan_calibrate_arena_bytes(model, 2, size) == 0, "no arena for a wrong size");
        expect(bnnpan_fuse(model, size, 2, memory, memory, memory, memory, memory, SIZE_MAX) == BNNPAN_BAD_SIZE &&
                   bnnpan_fuse(model, 2, size, memory, memory, memory, memory, memory, SIZE_MAX) == BNNPAN_BAD_SIZE &&
                   bnnpan_calibrate(model, 1, 2, size, memory, memory, memory, memory, SIZE_MAX) == BNNPAN_BAD_SIZE,
               "a wrong size refused");
    }
    expect(bnnpan_calibrate(model, 0, 2, 2, memory, memory, memory, memory, SIZE_MAX) == BNNPAN_BAD_SIZE,
           "no patches refused");
    expect(bnnpan_fuse_arena_bytes(NULL, 2, 2) == 0 && bnnpan_calibrate_arena_bytes(NULL, 2, 2) == 0 &&
               bnnpan_fuse(NULL, 2, 2, memory, memory, memory, memory, memory, SIZE_MAX) == BNNPAN_NO_ARGUMENT &&
               bnnpan_calibrate(NULL, 1, 2, 2, memory, memory, memory, memory, SIZE_MAX) == BNNPAN_NO_ARGUMENT,
           "no model refused");
    for (int missing = 0; missing < 4; missing++) {
        float *given[4] = {memory, memory, memory, memory};
        for (int kind = 0; kind < 2; kind++) {
            given[missing] = kind ? odd : NULL;
            expect(bnnpan_fuse(model, 2, 2, given[0], given[1], given[2], given[3], memory, fuse_bytes) ==
                       BNNPAN_NO_ARGUMENT, "a missing array refused");
            if (missing < 3)
                expect(bnnpan_calibrate(model, 1, 2, 2, given[0], given[1], given[2], memory, calibrate_bytes) ==
                           BNNPAN_NO_ARGUMENT, "a missing patch refused");
        }
    }
    expect(bnnpan_fuse(model, 2, 2, memory, memory, memory, memory, memory, fuse_bytes - 1) == BNNPAN_SMALL_ARENA &&
               bnnpan_fuse(model, 2, 2, memory, memory, memory, memory, NULL, fuse_bytes) == BNNPAN_SMALL_ARENA &&
               bnnpan_calibrate(model, 1, 2, 2, memory, memory, memory, memory, calibrate_bytes - 1) ==
                   BNNPAN_SMALL_ARENA, "a small arena refused");
}

/* One field of a good tile is replaced at a time. */
static void refuse_tiles(const window *w, float *memory) {
    const bnnpan_axis axis = {2, 3, memory};
    const bnnpan_tile good = {.pan = memory, .ms = memory, .product = memory, .rows = axis, .cols = axis, .height = 4,
                              .width = 6, .pan_stride = 6, .core_height = 4, .core_width = 6, .sample = BNNPAN_FLOAT32,
                              .pan_scale = 1, .ms_offset = memory, .ms_scale = memory, .injected = memory,
                              .shrunk = memory};
    const void *const odd = (const char *)memory + 2;
    static const float wrong_scales[] = {0.0f, INFINITY};
    bnnpan_tile tile;
#define REFUSE(field, value, status)                                                                                   \
    tile = good;                                                                                                       \
    tile.field = value;                                                                                                \
    expect(bnnpan_fuse_tile(w->model, &tile, memory, memory, SIZE_MAX) == (status), #field " = " #value " refused")
    REFUSE(height, 0, BNNPAN_BAD_SIZE);
    REFUSE(width, 5, BNNPAN_BAD_SIZE);
    REFUSE(width, INT32_MIN, BNNPAN_BAD_SIZE);
    REFUSE(sample, -1, BNNPAN_BAD_TILE);
    REFUSE(sample, BNNPAN_SAMPLE_COUNT, BNNPAN_BAD_TILE);
    REFUSE(core_row, -1, BNNPAN_BAD_TILE);
    REFUSE(core_row, 1, BNNPAN_BAD_TILE);
    REFUSE(core_col, INT32_MAX, BNNPAN_BAD_TILE);
    REFUSE(core_height, 0, BNNPAN_BAD_TILE);
    REFUSE(core_height, INT32_MAX, BNNPAN_BAD_TILE);
    REFUSE(core_width, INT32_MIN, BNNPAN_BAD_TILE);
    REFUSE(row_phase, 2, BNNPAN_BAD_TILE);
    REFUSE(col_phase, -1, BNNPAN_BAD_TILE);
    REFUSE(rows.ratio, 0, BNNPAN_BAD_TILE);
    REFUSE(cols.ratio, 65, BNNPAN_BAD_TILE);
    REFUSE(rows.taps, 65, BNNPAN_BAD_TILE);
    REFUSE(cols.taps, 0, BNNPAN_BAD_TILE);
    REFUSE(pan_scale, 0.0f, BNNPAN_BAD_TILE);
    REFUSE(pan_scale, -1.0f, BNNPAN_BAD_TILE);
    REFUSE(pan_scale, NAN, BNNPAN_BAD_TILE);
    REFUSE(ms_scale, wrong_scales, BNNPAN_BAD_TILE);
    REFUSE(ms_scale, wrong_scales + 1, BNNPAN_BAD_TILE);
    REFUSE(ms_scale, NULL, BNNPAN_NO_ARGUMENT);
    REFUSE(ms_offset, NULL, BNNPAN_NO_ARGUMENT);
    REFUSE(ms_offset, odd, BNNPAN_NO_ARGUMENT);
    REFUSE(pan_stride, 5, BNNPAN_BAD_TILE);
    REFUSE(pan_stride, INT32_MIN, BNNPAN_BAD_TILE);
    REFUSE(injected, NULL, BNNPAN_NO_ARGUMENT);
    REFUSE(injected, odd, BNNPAN_NO_ARGUMENT);
    REFUSE(shrunk, NULL, BNNPAN_NO_ARGUMENT);
    REFUSE(shrunk, odd, BNNPAN_NO_ARGUMENT);
    REFUSE(pan, NULL, BNNPAN_NO_ARGUMENT);
    REFUSE(ms, NULL, BNNPAN_NO_ARGUMENT);
    REFUSE(product, NULL, BNNPAN_NO_ARGUMENT);
    REFUSE(pan, odd, BNNPAN_NO_ARGUMENT);
    REFUSE(rows.weights, NULL, BNNPAN_NO_ARGUMENT);
    REFUSE(cols.weights, odd, BNNPAN_NO_ARGUMENT);
#undef REFUSE
    const size_t bytes = bnnpan_fuse_tile_arena_bytes(w->model, &good);
    expect(bnnpan_fuse_tile(w->model, &good, memory, memory, bytes - 1) == BNNPAN_SMALL_ARENA &&
               bnnpan_fuse_tile(w->model, &good, memory, NULL, bytes) == BNNPAN_SMALL_ARENA, "a small arena refused");
    expect(bnnpan_fuse_tile(NULL, &good, memory, memory, bytes) == BNNPAN_NO_ARGUMENT &&
               bnnpan_fuse_tile(w->model, NULL, memory, memory, bytes) == BNNPAN_NO_ARGUMENT &&
               bnnpan_fuse_tile(w->model, &good, NULL, memory, bytes) == BNNPAN_NO_ARGUMENT, "no tile refused");
    expect(bnnpan_fuse_tile_arena_bytes(NULL, &good) == 0 && bnnpan_fuse_tile_arena_bytes(w->model, NULL) == 0,
           "no arena for no tile");
}

static void refuse(void) {
    static const bnnpan_shape SHAPE = {.bands = 1, .channels = 1, .blocks = 1, .latent = 1, .prior_steps = 1};
    bnnpan_model *model = random_model(&SHAPE);
    const window w = {model, &SHAPE, 2, 2, NULL};
    float *memory = noise_array(64, 0.5f, 0.5f);
    refuse_models(&SHAPE);
    refuse_windows(&w, memory);
    refuse_tiles(&w, memory);
    free(memory);
    bnnpan_model_free(model);
}

int main(void) {
    static const struct {
        bnnpan_shape shape; /* bands, channels, blocks, latent, prior_steps, outer_skip, rectified */
        int32_t height, width;
    } CASES[] = {
        {{1, 1, 1, 1, 1, 1, 0}, 2, 2},    {{1, 1, 2, 3, 2, 0, 1}, 20, 2},  {{2, 8, 3, 4, 2, 1, 1}, 10, 142},
        {{4, 32, 4, 8, 4, 0, 1}, 2, 2},   {{4, 32, 4, 8, 4, 0, 1}, 8, 142}, {{3, 41, 2, 5, 2, 1, 1}, 6, 34},
        {{5, 64, 2, 8, 1, 0, 0}, 4, 66},  {{6, 96, 1, 2, 2, 0, 1}, 2, 38},  {{7, 97, 1, 2, 2, 1, 0}, 4, 14},
        {{8, 128, 1, 2, 2, 0, 1}, 2, 18}, {{1, 256, 1, 2, 1, 0, 1}, 2, 6},
    };
    uint64_t hash = 14695981039346656037u;
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++)
        hash = run(hash, &CASES[i].shape, CASES[i].height, CASES[i].width);
    refuse();
    expect(bnnpan_abi_version() == BNNPAN_ABI_VERSION, "the ABI version of the header");
    printf("%016llx\n", (unsigned long long)hash);
    return 0;
}
