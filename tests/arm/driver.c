/* Runs one stage of the engine a number of times on noise: driver STAGE CHANNELS REPEATS. Linked with libbnnpan. */
#include <stdio.h>
#include <stdlib.h>

#include "bench/bench.h"

enum { BANDS = 4, BLOCKS = 4, LATENT = 8, STEPS = 4, RATIO = 4, TAPS = 23 };

/* A row of 128 sub-band pixels, as in tiles of 256; and enough rows for a wavefront of four blocks. */
enum { WIDTH = 256, HEIGHT = 16, MS_HEIGHT = (HEIGHT - 1) / RATIO + TAPS, MS_WIDTH = (WIDTH - 1) / RATIO + TAPS };

static uint32_t state = 1;

/* Uniform in 0 .. 65535. */
static uint32_t noise(void) {
    state = state * 1664525u + 1013904223u;
    return state >> 16;
}

static void *allocate(size_t bytes) {
    void *memory = malloc(bytes);
    if (memory == NULL) exit(1);
    return memory;
}

static bnnpan_array floats(size_t count) {
    float *values = allocate(count * sizeof(float));
    for (size_t i = 0; i < count; i++) values[i] = (float)noise() / 524288.0f - 0.0625f;
    return (bnnpan_array){values, count * sizeof(float)};
}

static bnnpan_array bits(size_t words) {
    uint32_t *values = allocate(words * sizeof(uint32_t));
    for (size_t i = 0; i < words; i++) values[i] = noise() << 16 | noise();
    return (bnnpan_array){values, words * sizeof(uint32_t)};
}

static bnnpan_model *random_model(int32_t channels) {
    const bnnpan_shape shape = {BANDS, channels, BLOCKS, LATENT, STEPS, 0, 0};
    const size_t b = BANDS, c = (size_t)channels, n = BLOCKS, l = LATENT, t = STEPS, u = 4 * n * c;
    const size_t counts[BNNPAN_ARRAY_COUNT] = {
        c * (b + 1) * 9, c, b * c * 9, b, 0, u, u, u, u, u, u, u, u, n * 2 * c * l, n * 2 * c, n * c * 3 * c, n * c,
        l * (b + 1) * 9, l, l * l, l, l * l, l, l * (2 * l + 1), l, l * l, l, t, t, l};
    bnnpan_array arrays[BNNPAN_ARRAY_COUNT];
    for (int id = 0; id < BNNPAN_ARRAY_COUNT; id++)
        arrays[id] = id == BNNPAN_TRUNK_BITS ? bits(u * 9 * ((c + 31) / 32)) : floats(counts[id]);
    return bnnpan_model_create(&shape, arrays, NULL);
}

static uint16_t *digital_numbers(size_t count) {
    uint16_t *values = allocate(count * sizeof(uint16_t));
    for (size_t i = 0; i < count; i++) values[i] = (uint16_t)(noise() >> 5);
    return values;
}

static bnnpan_tile random_tile(void) {
    static const float SCALES[BANDS] = {100.0f, 150.0f, 200.0f, 250.0f};
    const bnnpan_axis axis = {RATIO, TAPS, floats(RATIO * TAPS).data};
    return (bnnpan_tile){
        .pan = digital_numbers(HEIGHT * WIDTH),
        .ms = digital_numbers(BANDS * MS_HEIGHT * MS_WIDTH),
        .product = digital_numbers(BANDS * HEIGHT * WIDTH),
        .rows = axis,
        .cols = axis,
        .sample = BNNPAN_UINT16,
        .height = HEIGHT,
        .width = WIDTH,
        .pan_stride = WIDTH,
        .core_height = HEIGHT,
        .core_width = WIDTH,
        .pan_offset = 500.0f,
        .pan_scale = 200.0f,
        .ms_offset = floats(BANDS).data,
        .ms_scale = SCALES,
        .injected = floats(BANDS).data,
        .shrunk = floats(MS_HEIGHT * MS_WIDTH).data,
    };
}

int main(int count, char **arguments) {
    if (count != 4) return 2;
    const int32_t stage = atoi(arguments[1]), channels = atoi(arguments[2]), repeats = atoi(arguments[3]);
    const bnnpan_model *model = random_model(channels);
    if (model == NULL) return 3;
    const bnnpan_tile tile = random_tile();
    const size_t bytes = bnnpan_bench_arena_bytes(model, &tile);
    double seconds;
    return bnnpan_bench_run(model, &tile, stage, repeats, allocate(bytes), bytes, &seconds);
}
