/* Model creation: sizes checked, float arrays copied, units prepared for the row kernels. */
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

static size_t array_bytes(const bnnpan_shape *shape, bnnpan_array_id id) {
    const size_t b = (size_t)shape->bands, c = (size_t)shape->channels, n = (size_t)shape->blocks;
    const size_t l = (size_t)shape->latent, t = (size_t)shape->prior_steps;
    switch (id) {
    case BNNPAN_HEAD_WEIGHT: return c * (b + 1) * BNNPAN_TAPS * sizeof(float);
    case BNNPAN_HEAD_BIAS: return c * sizeof(float);
    case BNNPAN_TAIL_WEIGHT: return b * c * BNNPAN_TAPS * sizeof(float);
    case BNNPAN_TAIL_BIAS: return b * sizeof(float);
    case BNNPAN_TRUNK_BITS: return units(shape) * bnnpan_unit_bits_bytes(shape->channels);
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

/* One allocation, which the model begins. */
typedef struct layout {
    bnnpan_model *model;
    float *floats;                     /* all float arrays by id */
    float *head_weight, *head_bias;    /* halved */
    void *units;
} layout;

static size_t lay_out(layout *at, const bnnpan_shape *shape, void *memory) {
    bnnpan_arena arena = bnnpan_arena_open(memory);
    size_t bytes = 0;
    for (int id = 0; id < BNNPAN_ARRAY_COUNT; id++)
        if (id != BNNPAN_TRUNK_BITS) bytes += array_bytes(shape, (bnnpan_array_id)id);
    at->model = bnnpan_arena_take(&arena, 1, sizeof(bnnpan_model));
    at->floats = bnnpan_arena_take(&arena, bytes, 1);
    at->head_weight = bnnpan_arena_take(&arena, array_bytes(shape, BNNPAN_HEAD_WEIGHT), 1);
    at->head_bias = bnnpan_arena_take(&arena, array_bytes(shape, BNNPAN_HEAD_BIAS), 1);
    at->units = bnnpan_arena_take(&arena, bnnpan_units_bytes(shape->channels, shape->blocks), 1);
    return bnnpan_arena_bytes(&arena);
}

static void copy_arrays(bnnpan_model *model, const bnnpan_array *arrays, float *floats) {
    for (int id = 0; id < BNNPAN_ARRAY_COUNT; id++) {
        if (id == BNNPAN_TRUNK_BITS) continue;
        memcpy(floats, arrays[id].data, arrays[id].bytes);
        model->arrays[id] = floats;
        floats += arrays[id].bytes / sizeof(float);
    }
}

static bnnpan_filters halved(const bnnpan_model *model, const layout *at) {
    const bnnpan_shape *shape = &model->shape;
    const size_t weights = array_bytes(shape, BNNPAN_HEAD_WEIGHT) / sizeof(float);
    for (size_t i = 0; i < weights; i++) at->head_weight[i] = 0.5f * model->arrays[BNNPAN_HEAD_WEIGHT][i];
    for (int32_t c = 0; c < shape->channels; c++) at->head_bias[c] = 0.5f * model->arrays[BNNPAN_HEAD_BIAS][c];
    return (bnnpan_filters){at->head_weight, at->head_bias, shape->channels};
}

static const bnnpan_units *prepared_units(const bnnpan_model *model, const bnnpan_array *arrays, void *memory) {
    const bnnpan_shape *shape = &model->shape;
    const float *const *floats = model->arrays;
    const float *const parameters[BNNPAN_UNIT_PARAMETERS] = {
        [BNNPAN_UNIT_SHIFT] = floats[BNNPAN_TRUNK_SHIFT],
        [BNNPAN_UNIT_SCALE] = floats[BNNPAN_TRUNK_SCALE],
        [BNNPAN_UNIT_GAMMA] = floats[BNNPAN_TRUNK_GAMMA],
        [BNNPAN_UNIT_BETA] = floats[BNNPAN_TRUNK_BETA],
        [BNNPAN_UNIT_ZETA] = floats[BNNPAN_TRUNK_ZETA],
        [BNNPAN_UNIT_INVERSE_LAMBDA] = floats[BNNPAN_TRUNK_INVERSE_LAMBDA],
        [BNNPAN_UNIT_PHI] = floats[BNNPAN_TRUNK_PHI],
        [BNNPAN_UNIT_ETA] = floats[BNNPAN_TRUNK_ETA],
    };
    return bnnpan_units_prepare(memory, model->kernels, shape->channels, shape->blocks, shape->outer_skip,
                                arrays[BNNPAN_TRUNK_BITS].data, parameters,
                                BNNPAN_SUB_BANDS * (size_t)shape->channels);
}

static int arguments_are_valid(const bnnpan_shape *shape, const bnnpan_array *arrays) {
    if (shape == NULL || arrays == NULL || !shape_is_valid(shape)) return 0;
    for (int id = 0; id < BNNPAN_ARRAY_COUNT; id++)
        if (arrays[id].data == NULL || arrays[id].bytes != array_bytes(shape, (bnnpan_array_id)id)) return 0;
    return 1;
}

bnnpan_model *bnnpan_model_create(const bnnpan_shape *shape, const bnnpan_array *arrays, const char *isa) {
    const bnnpan_kernels *kernels = bnnpan_find_kernels(isa);
    layout at;
    if (kernels == NULL || !arguments_are_valid(shape, arrays)) return NULL;
    const size_t bytes = lay_out(&at, shape, NULL);
    void *memory = aligned_alloc(BNNPAN_ALIGNMENT, bytes); /* a multiple of it */
    if (memory == NULL) return NULL;
    memset(memory, 0, bytes); /* gaps are part of its checksum */
    lay_out(&at, shape, memory);
    bnnpan_model *model = at.model;
    *model = (bnnpan_model){.shape = *shape, .kernels = kernels, .memory = memory};
    copy_arrays(model, arrays, at.floats);
    model->head = halved(model, &at);
    model->tail = (bnnpan_filters){model->arrays[BNNPAN_TAIL_WEIGHT], model->arrays[BNNPAN_TAIL_BIAS], shape->bands};
    model->encoder = (bnnpan_filters){model->arrays[BNNPAN_ENCODER_CONV_WEIGHT],
                                      model->arrays[BNNPAN_ENCODER_CONV_BIAS], shape->latent};
    model->units = prepared_units(model, arrays, at.units);
    return model;
}

void bnnpan_model_free(bnnpan_model *model) {
    free(model); /* and not by what it says: bits of it may have flipped */
}

size_t bnnpan_model_bytes(const bnnpan_model *model) {
    layout at;
    return lay_out(&at, &model->shape, NULL);
}

const char *bnnpan_model_isa(const bnnpan_model *model) {
    return model != NULL ? model->kernels->name : NULL;
}
