#include "units.h"

#include <string.h>

/* Arrays of one unit that later stages need one by one, (C) floats each; shift is turned into a threshold. */
enum { THRESHOLD, PHI, INVERSE_LAMBDA, ETA, ARRAYS };

static int32_t words_of(int32_t channels) { return (channels + BNNPAN_WORD_BITS - 1) / BNNPAN_WORD_BITS; }

static size_t filter_words(int32_t channels) { return (size_t)words_of(channels) * BNNPAN_TAPS; }

size_t bnnpan_unit_bits_bytes(int32_t channels) {
    return (size_t)channels * filter_words(channels) * sizeof(uint32_t);
}

typedef struct parts {
    bnnpan_units *units;
    bnnpan_unit *unit;
    bnnpan_filter *filters; /* (N, 4, C) */
    float *floats;          /* (N, 4, ARRAYS, C) */
    uint32_t *bits;         /* (N, 4, C, words, 9) */
} parts;

static size_t lay_out(parts *at, void *memory, int32_t channels, int32_t blocks) {
    const size_t units = (size_t)blocks * BNNPAN_SUB_BANDS, c = (size_t)channels;
    bnnpan_arena arena = bnnpan_arena_open(memory);
    at->units = bnnpan_arena_take(&arena, 1, sizeof(bnnpan_units));
    at->unit = bnnpan_arena_take(&arena, units, sizeof(bnnpan_unit));
    at->filters = bnnpan_arena_take(&arena, units * c, sizeof(bnnpan_filter));
    at->floats = bnnpan_arena_take(&arena, units * ARRAYS * c, sizeof(float));
    /* Kernels read nine words ahead. */
    at->bits = bnnpan_arena_take(&arena, units * c * filter_words(channels) + BNNPAN_TAPS, sizeof(uint32_t));
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

/* One filter, bytes (3, 3, 4 * words) to words (words, 9). A tap outside adds surplus[tap] to the sum. Bits of no
 * channel are 0 in every activation, and so they are here. */
static void prepare_filter(const uint8_t *bytes, int32_t words, int32_t channels, uint32_t *bits,
                           int32_t surplus[BNNPAN_TAPS]) {
    const uint32_t last_word = channels % 32 ? (UINT32_C(1) << channels % 32) - 1 : UINT32_MAX;
    for (int32_t tap = 0; tap < BNNPAN_TAPS; tap++) {
        int32_t negatives = 0;
        for (int32_t word = 0; word < words; word++) {
            const uint32_t used = word + 1 < words ? UINT32_MAX : last_word;
            const uint32_t value = used & read_word(bytes + sizeof(uint32_t) * (size_t)(tap * words + word));
            bits[word * BNNPAN_TAPS + tap] = value;
            negatives += ones(value);
        }
        surplus[tap] = 2 * negatives - channels;
    }
}

/* Constants of the border, as binary_sums.h uses them. */
static void prepare_border(const int32_t surplus[BNNPAN_TAPS], int32_t channels, bnnpan_filter *filter) {
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
        filter->most[outside] = (float)most;
        filter->left[outside] = (float)left;
        filter->right[outside] = (float)right;
    }
}

/* One unit, into its own parts of the memory; its parameters begin at `first`. */
static bnnpan_unit prepare_unit(int32_t channels, const uint8_t *bytes, const float *const parameters[], size_t first,
                                const parts *at) {
    const int32_t words = words_of(channels);
    for (int32_t c = 0; c < channels; c++) {
        const size_t word = (size_t)c * filter_words(channels), place = first + (size_t)c;
        bnnpan_filter *filter = &at->filters[c];
        int32_t surplus[BNNPAN_TAPS];
        prepare_filter(bytes + word * sizeof(uint32_t), words, channels, at->bits + word, surplus);
        prepare_border(surplus, channels, filter);
        filter->scale = parameters[BNNPAN_UNIT_SCALE][place];
        filter->minus_gamma = -parameters[BNNPAN_UNIT_GAMMA][place];
        filter->beta = parameters[BNNPAN_UNIT_BETA][place];
        filter->zeta = parameters[BNNPAN_UNIT_ZETA][place];
        at->floats[THRESHOLD * channels + c] = -parameters[BNNPAN_UNIT_SHIFT][place];
        at->floats[PHI * channels + c] = parameters[BNNPAN_UNIT_PHI][place];
        at->floats[INVERSE_LAMBDA * channels + c] = parameters[BNNPAN_UNIT_INVERSE_LAMBDA][place];
        at->floats[ETA * channels + c] = parameters[BNNPAN_UNIT_ETA][place];
    }
    return (bnnpan_unit){
        .channels = channels,
        .words = words,
        .bits = at->bits,
        .filters = at->filters,
        .threshold = at->floats + THRESHOLD * channels,
        .phi = at->floats + PHI * channels,
        .inverse_lambda = at->floats + INVERSE_LAMBDA * channels,
        .eta = at->floats + ETA * channels,
    };
}

bnnpan_units *bnnpan_units_prepare(void *memory, const bnnpan_kernels *kernels, int32_t channels, int32_t blocks,
                                   int32_t outer_skip, const uint8_t *bits,
                                   const float *const parameters[BNNPAN_UNIT_PARAMETERS], size_t block_stride) {
    const size_t c = (size_t)channels, words = c * filter_words(channels);
    parts at;
    lay_out(&at, memory, channels, blocks);
    *at.units = (bnnpan_units){kernels, channels, blocks, words_of(channels), outer_skip, at.unit};
    for (int32_t index = 0; index < blocks * BNNPAN_SUB_BANDS; index++) {
        const size_t block = (size_t)(index / BNNPAN_SUB_BANDS), sub_band = (size_t)index % BNNPAN_SUB_BANDS;
        at.unit[index] = prepare_unit(channels, bits, parameters, block * block_stride + sub_band * c, &at);
        bits += bnnpan_unit_bits_bytes(channels);
        at.filters += c;
        at.floats += ARRAYS * c;
        at.bits += words;
    }
    return at.units;
}
