/* Model creation: sizes checked, float arrays copied, trunk bits rearranged for the row kernels. */
#include "model.h"

#include <stdlib.h>
#include <string.h>

int32_t bnnpan_abi_version(void) { return BNNPAN_ABI_VERSION; }

static int in_range(int32_t value, int32_t largest) { return value >= 1 && value <= largest; }

static int shape_is_valid(const bnnpan_shape *shape) {
    return in_range(shape->bands, BNNPAN_MAX_BANDS) && in_range(shape->channels, BNNPAN_MAX_CHANNELS) &&
           in_range(shape->blocks, BNNPAN_MAX_BLOCKS) && in_range(shape->latent, BNNPAN_MAX_LATENT) &&
           in_range(shape->prior_steps, BNNPAN_MAX_STEPS) && (shape->outer_skip | 1) == 1 &&
           (shape->rectified | 1) == 1;
}

static size_t units(const bnnpan_shape *shape) { return (size_t)shape->blocks * BNNPAN_SUB_BANDS; }

static size_t word_count(const bnnpan_shape *shape) { return ((size_t)shape->channels + 31) / 32; }

static size_t array_bytes(const bnnpan_shape *shape, bnnpan_array_id id) {
    const size_t b = (size_t)shape->bands, c = (size_t)shape->channels, n = (size_t)shape->blocks;
    const size_t l = (size_t)shape->latent, t = (size_t)shape->prior_steps;
    switch (id) {
    case BNNPAN_HEAD_WEIGHT: return c * (b + 1) * BNNPAN_TAPS * sizeof(float);
    case BNNPAN_HEAD_BIAS: return c * sizeof(float);
    case BNNPAN_TAIL_WEIGHT: return b * c * BNNPAN_TAPS * sizeof(float);
    case BNNPAN_TAIL_BIAS: return b * sizeof(float);
    case BNNPAN_TRUNK_BITS: return units(shape) * c * BNNPAN_TAPS * word_count(shape) * sizeof(uint32_t);
    case BNNPAN_TRUNK_SHIFT:
    case BNNPAN_TRUNK_SCALE:
    case BNNPAN_TRUNK_GAMMA:
    case BNNPAN_TRUNK_BETA:
    case BNNPAN_TRUNK_ZETA:
    case BNNPAN_TRUNK_INVERSE_LAMBDA:
    case BNNPAN_TRUNK_PHI:
    case BNNPAN_TRUNK_ETA: return units(shape) * c * sizeof(float);
    case BNNPAN_LDPC_WEIGHT: return n * 2 * c * l * sizeof(float);
    case BNNPAN_LDPC_BIAS: return n * 2 * c * sizeof(float);
    case BNNPAN_CDC_WEIGHT: return n * c * 3 * c * sizeof(float);
    case BNNPAN_CDC_BIAS: return n * c * sizeof(float);
    case BNNPAN_ENCODER_CONV_WEIGHT: return l * (b + 1) * BNNPAN_TAPS * sizeof(float);
    case BNNPAN_ENCODER_HIDDEN_WEIGHT:
    case BNNPAN_ENCODER_OUT_WEIGHT:
    case BNNPAN_DENOISER_OUT_WEIGHT: return l * l * sizeof(float);
    case BNNPAN_DENOISER_HIDDEN_WEIGHT: return l * (2 * l + 1) * sizeof(float);
    case BNNPAN_ENCODER_CONV_BIAS:
    case BNNPAN_ENCODER_HIDDEN_BIAS:
    case BNNPAN_ENCODER_OUT_BIAS:
    case BNNPAN_DENOISER_HIDDEN_BIAS:
    case BNNPAN_DENOISER_OUT_BIAS:
    case BNNPAN_LATENT_START: return l * sizeof(float);
    case BNNPAN_LATENT_GAIN:
    case BNNPAN_ESTIMATE_GAIN: return t * sizeof(float);
    case BNNPAN_ARRAY_COUNT: break;
    }
    return 0;
}

/* One allocation: model, units, floats, bits, outside; every part a multiple of 8 bytes but the last two. */
typedef struct layout {
    size_t units, floats, bits, outside, total;
} layout;

static layout plan_layout(const bnnpan_shape *shape) {
    const size_t filters = units(shape) * (size_t)shape->channels;
    layout at;
    at.units = sizeof(bnnpan_model);
    at.floats = at.units + units(shape) * sizeof(bnnpan_unit);
    at.bits = at.floats + filters * sizeof(float); /* thresholds */
    for (int id = 0; id < BNNPAN_ARRAY_COUNT; id++)
        if (id != BNNPAN_TRUNK_BITS) at.bits += array_bytes(shape, (bnnpan_array_id)id);
    at.outside = at.bits + filters * word_count(shape) * BNNPAN_TAPS * sizeof(uint32_t);
    at.total = at.outside + filters * BNNPAN_TAPS * sizeof(int32_t);
    return at;
}

static int32_t ones(uint32_t word) {
    int32_t count = 0;
    for (; word; word &= word - 1) count++;
    return count;
}

static uint32_t read_word(const uint8_t *bytes) {
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

/* One filter: bytes (3, 3, 4 * words) to words (words, 9); `outside` as in binary_conv.c. */
static void prepare_filter(const uint8_t *bytes, int32_t words, int32_t channels, uint32_t *bits, int32_t *outside) {
    for (int32_t tap = 0; tap < BNNPAN_TAPS; tap++) {
        int32_t negatives = 0;
        for (int32_t word = 0; word < words; word++) {
            const uint32_t value = read_word(bytes + 4 * ((size_t)tap * (size_t)words + (size_t)word));
            bits[word * BNNPAN_TAPS + tap] = value;
            negatives += ones(value);
        }
        outside[tap] = 2 * negatives - channels;
    }
}

static void prepare_unit(const bnnpan_model *model, size_t index, const uint8_t *bytes, uint32_t *bits,
                         int32_t *outside, float *threshold) {
    const int32_t channels = model->shape.channels, words = model->words;
    const size_t filter_words = (size_t)words * BNNPAN_TAPS, first = index * (size_t)channels;
    const float *shift = model->arrays[BNNPAN_TRUNK_SHIFT] + first;
    bits += first * filter_words;
    outside += first * BNNPAN_TAPS;
    threshold += first;
    for (int32_t c = 0; c < channels; c++) {
        const size_t filter = (first + (size_t)c) * filter_words * sizeof(uint32_t);
        prepare_filter(bytes + filter, words, channels, bits + (size_t)c * filter_words, outside + c * BNNPAN_TAPS);
        threshold[c] = -shift[c];
    }
    model->units[index] = (bnnpan_unit){
        .channels = channels,
        .words = words,
        .outer_skip = model->shape.outer_skip,
        .bits = bits,
        .outside = outside,
        .threshold = threshold,
        .scale = model->arrays[BNNPAN_TRUNK_SCALE] + first,
        .gamma = model->arrays[BNNPAN_TRUNK_GAMMA] + first,
        .beta = model->arrays[BNNPAN_TRUNK_BETA] + first,
        .zeta = model->arrays[BNNPAN_TRUNK_ZETA] + first,
        .inverse_lambda = model->arrays[BNNPAN_TRUNK_INVERSE_LAMBDA] + first,
        .phi = model->arrays[BNNPAN_TRUNK_PHI] + first,
        .eta = model->arrays[BNNPAN_TRUNK_ETA] + first,
    };
}

static int arguments_are_valid(const bnnpan_shape *shape, const bnnpan_array *arrays) {
    if (shape == NULL || arrays == NULL || !shape_is_valid(shape)) return 0;
    for (int id = 0; id < BNNPAN_ARRAY_COUNT; id++)
        if (arrays[id].data == NULL || arrays[id].bytes != array_bytes(shape, (bnnpan_array_id)id)) return 0;
    return 1;
}

bnnpan_model *bnnpan_model_create(const bnnpan_shape *shape, const bnnpan_array *arrays, const char *isa) {
    const bnnpan_kernels *kernels = bnnpan_find_kernels(isa);
    if (kernels == NULL || !arguments_are_valid(shape, arrays)) return NULL;
    const layout at = plan_layout(shape);
    char *base = malloc(at.total);
    if (base == NULL) return NULL;
    bnnpan_model *model = (bnnpan_model *)(void *)base;
    *model = (bnnpan_model){.shape = *shape, .kernels = kernels, .words = (int32_t)word_count(shape)};
    model->units = (bnnpan_unit *)(void *)(base + at.units);
    float *floats = (float *)(void *)(base + at.floats);
    for (int id = 0; id < BNNPAN_ARRAY_COUNT; id++) {
        if (id == BNNPAN_TRUNK_BITS) continue;
        memcpy(floats, arrays[id].data, arrays[id].bytes);
        model->arrays[id] = floats;
        floats += arrays[id].bytes / sizeof(float);
    }
    for (size_t index = 0; index < units(shape); index++)
        prepare_unit(model, index, arrays[BNNPAN_TRUNK_BITS].data, (uint32_t *)(void *)(base + at.bits),
                     (int32_t *)(void *)(base + at.outside), floats);
    return model;
}

void bnnpan_model_free(bnnpan_model *model) { free(model); }

const char *bnnpan_model_isa(const bnnpan_model *model) { return model->kernels->name; }
