#include "units.h"

#include <string.h>

/* Arrays of one unit, (C) floats each: parameters with signs turned where that saves an operation, then constants of the
 * border per outside case. */
enum {
    THRESHOLD,
    SCALE,
    MINUS_GAMMA,
    BETA,
    ZETA,
    INVERSE_LAMBDA,
    PHI,
    ETA,
    MOST,
    LEFT = MOST + BNNPAN_OUTSIDE_CASES,
    RIGHT = LEFT + BNNPAN_OUTSIDE_CASES,
    ARRAYS = RIGHT + BNNPAN_OUTSIDE_CASES
};

static int32_t words_of(int32_t channels) { return (channels + BNNPAN_WORD_BITS - 1) / BNNPAN_WORD_BITS; }

static size_t filter_words(int32_t channels) { return (size_t)words_of(channels) * BNNPAN_TAPS; }

size_t bnnpan_unit_bits_bytes(int32_t channels) {
    return (size_t)channels * filter_words(channels) * sizeof(uint32_t);
}

typedef struct parts {
    bnnpan_units *units;
    bnnpan_unit *unit;
    float *floats;  /* (N, 4, ARRAYS, C) */
    uint32_t *bits; /* (N, 4, C, words, 9) */
} parts;

static size_t lay_out(parts *at, void *memory, int32_t channels, int32_t blocks) {
    const size_t units = (size_t)blocks * BNNPAN_UNITS_PER_BLOCK, c = (size_t)channels;
    bnnpan_arena arena = bnnpan_arena_open(memory);
    at->units = bnnpan_arena_take(&arena, 1, sizeof(bnnpan_units));
    at->unit = bnnpan_arena_take(&arena, units, sizeof(bnnpan_unit));
    at->floats = bnnpan_arena_take(&arena, units * ARRAYS * c, sizeof(float));
    at->bits = bnnpan_arena_take(&arena, units * c * filter_words(channels), sizeof(uint32_t));
    return bnnpan_arena_bytes(&arena);
}

size_t bnnpan_units_bytes(int32_t channels, int32_t blocks) {
    parts at;
    return lay_out(&at, NULL, channels, blocks);
}

static int32_t ones(uint32_t word) {
    int32_t count = 0;
    for (; word; word &= word - 1) count++;
    return count;
}

static uint32_t read_word(const uint8_t *bytes) {
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

/* One filter, bytes (3, 3, 4 * words) to words (words, 9). A tap outside adds surplus[tap] to the sum. */
static void prepare_filter(const uint8_t *bytes, int32_t words, int32_t channels, uint32_t *bits,
                           int32_t surplus[BNNPAN_TAPS]) {
    for (int32_t tap = 0; tap < BNNPAN_TAPS; tap++) {
        int32_t negatives = 0;
        for (int32_t word = 0; word < words; word++) {
            const uint32_t value = read_word(bytes + sizeof(uint32_t) * (size_t)(tap * words + word));
            bits[word * BNNPAN_TAPS + tap] = value;
            negatives += ones(value);
        }
        surplus[tap] = 2 * negatives - channels;
    }
}

/* Constants of one filter, as binary_sums.h uses them. */
static void prepare_border(const int32_t surplus[BNNPAN_TAPS], int32_t channels, int32_t filter, float *floats) {
    for (int32_t outside = 0; outside < BNNPAN_OUTSIDE_CASES; outside++) {
        int32_t most = BNNPAN_TAPS * channels, left = 0, right = 0;
        for (int32_t ky = 0; ky < 3; ky++) {
            const int row_is_outside =
                (ky == 0 && outside & BNNPAN_ABOVE_OUTSIDE) || (ky == 2 && outside & BNNPAN_BELOW_OUTSIDE);
            if (row_is_outside) {
                most += surplus[3 * ky] + surplus[3 * ky + 1] + surplus[3 * ky + 2];
            } else {
                left += surplus[3 * ky];
                right += surplus[3 * ky + 2];
            }
        }
        floats[(MOST + outside) * channels + filter] = (float)most;
        floats[(LEFT + outside) * channels + filter] = (float)left;
        floats[(RIGHT + outside) * channels + filter] = (float)right;
    }
}

/* One unit; bits, floats and parameters are its own. */
static bnnpan_unit prepare_unit(int32_t channels, const uint8_t *bytes, const float *const parameters[], size_t first,
                                float *floats, uint32_t *bits) {
    const int32_t words = words_of(channels);
    for (int32_t p = 0; p < BNNPAN_UNIT_PARAMETERS; p++) {
        const int negated = p == BNNPAN_UNIT_SHIFT || p == BNNPAN_UNIT_GAMMA;
        for (int32_t c = 0; c < channels; c++) {
            const float value = parameters[p][first + (size_t)c];
            floats[p * channels + c] = negated ? -value : value;
        }
    }
    for (int32_t c = 0; c < channels; c++) {
        const size_t word = (size_t)c * filter_words(channels);
        int32_t surplus[BNNPAN_TAPS];
        prepare_filter(bytes + word * sizeof(uint32_t), words, channels, bits + word, surplus);
        prepare_border(surplus, channels, c, floats);
    }
    return (bnnpan_unit){
        .channels = channels,
        .words = words,
        .bits = bits,
        .most = floats + MOST * channels,
        .left = floats + LEFT * channels,
        .right = floats + RIGHT * channels,
        .threshold = floats + THRESHOLD * channels,
        .scale = floats + SCALE * channels,
        .minus_gamma = floats + MINUS_GAMMA * channels,
        .beta = floats + BETA * channels,
        .zeta = floats + ZETA * channels,
        .phi = floats + PHI * channels,
        .inverse_lambda = floats + INVERSE_LAMBDA * channels,
        .eta = floats + ETA * channels,
    };
}

bnnpan_units *bnnpan_units_prepare(void *memory, const bnnpan_kernels *kernels, int32_t channels, int32_t blocks,
                                   int32_t outer_skip, const uint8_t *bits,
                                   const float *const parameters[BNNPAN_UNIT_PARAMETERS], size_t block_stride) {
    const size_t c = (size_t)channels, words = c * filter_words(channels);
    parts at;
    lay_out(&at, memory, channels, blocks);
    *at.units = (bnnpan_units){kernels, channels, blocks, words_of(channels), outer_skip, at.unit};
    for (size_t index = 0; index < (size_t)blocks * BNNPAN_UNITS_PER_BLOCK; index++) {
        const size_t first = index / BNNPAN_UNITS_PER_BLOCK * block_stride + index % BNNPAN_UNITS_PER_BLOCK * c;
        at.unit[index] = prepare_unit(channels, bits + index * bnnpan_unit_bits_bytes(channels), parameters, first,
                                         at.floats + index * ARRAYS * c, at.bits + index * words);
    }
    return at.units;
}
