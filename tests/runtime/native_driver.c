/* Runs the library on small random networks and prints one hash of all results: built with sanitizers, at other
 * optimisation levels and for other processors, it must print the same. Exit status 1 names a failed expectation. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bnnpan.h"

static uint32_t state = 1;

/* Uniform in -1 .. 1, exact in float. */
static float noise(void) {
    state = state * 1664525u + 1013904223u;
    return (float)(state >> 8) / 8388608.0f - 1.0f;
}

static float *noise_array(size_t count, float centre, float spread) {
    float *values = malloc(count * sizeof(float));
    for (size_t i = 0; i < count; i++) values[i] = centre + spread * noise();
    return values;
}

static uint8_t *noise_bits(size_t filters, int channels, size_t *bytes) {
    const size_t packed = 4 * (((size_t)channels + 31) / 32);
    *bytes = filters * 9 * packed;
    uint8_t *bits = calloc(*bytes, 1);
    for (size_t tap = 0; tap < filters * 9; tap++)
        for (int i = 0; i < channels; i++)
            if (noise() < 0) bits[tap * packed + (size_t)i / 8] |= (uint8_t)(1u << i % 8);
    return bits;
}

static bnnpan_model *random_model(const bnnpan_shape *s) {
    const size_t b = (size_t)s->bands, c = (size_t)s->channels, n = (size_t)s->blocks, l = (size_t)s->latent;
    const size_t t = (size_t)s->prior_steps, u = 4 * n * c;
    const size_t counts[BNNPAN_ARRAY_COUNT] = {
        c * (b + 1) * 9, c, b * c * 9, b, 0, u, u, u, u, u, u, u, u, n * 2 * c * l, n * 2 * c, n * c * 3 * c, n * c,
        l * (b + 1) * 9, l, l * l, l, l * l, l, l * (2 * l + 1), l, l * l, l, t, t, l};
    bnnpan_array arrays[BNNPAN_ARRAY_COUNT];
    for (int id = 0; id < BNNPAN_ARRAY_COUNT; id++) {
        const float centre = id == BNNPAN_TRUNK_INVERSE_LAMBDA || id == BNNPAN_TRUNK_BETA ? 0.25f : 0.0f;
        arrays[id].bytes = counts[id] * sizeof(float);
        if (id == BNNPAN_TRUNK_BITS)
            arrays[id].data = noise_bits(u, s->channels, &arrays[id].bytes);
        else
            arrays[id].data = noise_array(counts[id], centre, 0.125f);
    }
    bnnpan_model *model = bnnpan_model_create(s, arrays, "portable");
    arrays[BNNPAN_HEAD_BIAS].bytes -= 1;
    if (bnnpan_model_create(s, arrays, "portable") != NULL) model = NULL;
    for (int id = 0; id < BNNPAN_ARRAY_COUNT; id++) free((void *)(uintptr_t)arrays[id].data);
    return model;
}

static uint64_t hash_of(uint64_t hash, const float *values, size_t count) {
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &values[i], sizeof bits);
        hash = (hash ^ bits) * 1099511628211u;
    }
    return hash;
}

static void expect(int holds, const char *what) {
    if (holds) return;
    fprintf(stderr, "expected: %s\n", what);
    exit(1);
}

/* Exact allocations, so that an address sanitizer sees every step beyond them. */
static uint64_t run(uint64_t hash, const bnnpan_shape *s, int count, int height, int width) {
    const size_t pixels = (size_t)height * (size_t)width, values = pixels * (size_t)s->bands;
    const size_t affine_count = (size_t)(s->blocks * 2 * s->channels);
    bnnpan_model *model = random_model(s);
    expect(model != NULL, "a model, and none for an array of a wrong size");
    float *pan = noise_array((size_t)count * pixels, 0.5f, 0.5f);
    float *lms = noise_array((size_t)count * values, 0.5f, 0.5f);
    float *affines = malloc(affine_count * sizeof(float)), *out = malloc(values * sizeof(float));

    size_t bytes = bnnpan_calibrate_arena_bytes(model, height, width);
    char *arena = malloc(bytes + 1);
    expect(bnnpan_calibrate(model, count, height, width, pan, lms, affines, arena + 1, bytes) == BNNPAN_OK,
           "calibrate");
    free(arena);

    bytes = bnnpan_fuse_arena_bytes(model, height, width);
    arena = malloc(bytes + 1);
    expect(bnnpan_fuse(model, height, width, pan, lms, affines, out, arena + 1, bytes - 1) == BNNPAN_SMALL_ARENA,
           "a small arena refused");
    expect(bnnpan_fuse(model, height, width + 1, pan, lms, affines, out, arena + 1, bytes) == BNNPAN_BAD_SIZE,
           "an odd width refused");
    expect(bnnpan_fuse(model, height, width, pan, lms, affines, out, arena + 1, bytes) == BNNPAN_OK, "fuse");
    hash = hash_of(hash_of(hash, affines, affine_count), out, values);
    free(arena);
    free(pan);
    free(lms);
    free(affines);
    free(out);
    bnnpan_model_free(model);
    return hash;
}

int main(void) {
    static const bnnpan_shape SHAPES[] = {
        {.bands = 4, .channels = 32, .blocks = 4, .latent = 8, .prior_steps = 4, .outer_skip = 0, .rectified = 1},
        {.bands = 1, .channels = 1, .blocks = 1, .latent = 1, .prior_steps = 1, .outer_skip = 1, .rectified = 0},
        {.bands = 3, .channels = 41, .blocks = 2, .latent = 5, .prior_steps = 2, .outer_skip = 1, .rectified = 1},
    };
    static const int SIZES[][2] = {{2, 2}, {2, 34}, {20, 2}, {10, 142}};
    uint64_t hash = 14695981039346656037u;
    for (size_t i = 0; i < sizeof SHAPES / sizeof SHAPES[0]; i++)
        for (size_t j = 0; j < sizeof SIZES / sizeof SIZES[0]; j++)
            hash = run(hash, &SHAPES[i], 2, SIZES[j][0], SIZES[j][1]);
    expect(bnnpan_abi_version() == BNNPAN_ABI_VERSION, "the ABI version of the header");
    printf("%016llx\n", (unsigned long long)hash);
    return 0;
}
