#include "blocks.h"

#include <stdlib.h>
#include <string.h>

static const int32_t PLACES[BNNPAN_UNIT_PARAMETERS] = {
    [BNNPAN_UNIT_SHIFT] = UNIT_SHIFT,        [BNNPAN_UNIT_SCALE] = UNIT_SCALE,
    [BNNPAN_UNIT_GAMMA] = UNIT_MINUS_GAMMA,  [BNNPAN_UNIT_BETA] = UNIT_BETA,
    [BNNPAN_UNIT_ZETA] = UNIT_ZETA,          [BNNPAN_UNIT_INVERSE_LAMBDA] = UNIT_INVERSE_LAMBDA,
    [BNNPAN_UNIT_PHI] = UNIT_PHI,            [BNNPAN_UNIT_ETA] = UNIT_ETA,
};

/* One constant of all units, one after the other, (blocks, 4, ...). */
static void gather(const litert_graph *graph, const litert_group *group, int32_t place, size_t bytes, void *target) {
    uint8_t *next = target;
    for (int32_t block = 0; block < group->blocks; block++)
        for (int32_t i = 0; i < BNNPAN_SUB_BANDS; i++, next += bytes)
            memcpy(next, graph->context->tensors[group->unit[block][i]->match.tensor[place]].data, bytes);
}

static bool prepare_units(litert_blocks *blocks, const litert_graph *graph, const litert_group *group,
                          const bnnpan_kernels *kernels) {
    const int32_t channels = group->unit[0][0]->match.channels;
    const size_t units = (size_t)group->blocks * BNNPAN_SUB_BANDS, floats = units * (size_t)channels;
    const float *parameters[BNNPAN_UNIT_PARAMETERS];
    float *values = malloc(BNNPAN_UNIT_PARAMETERS * floats * sizeof *values);
    uint8_t *bits = malloc(units * bnnpan_unit_bits_bytes(channels));
    blocks->memory = malloc(bnnpan_units_bytes(channels, group->blocks));
    if (values != NULL && bits != NULL && blocks->memory != NULL) {
        for (int32_t i = 0; i < BNNPAN_UNIT_PARAMETERS; i++) {
            parameters[i] = values + (size_t)i * floats;
            gather(graph, group, PLACES[i], (size_t)channels * sizeof *values, values + (size_t)i * floats);
        }
        float *gamma = values + BNNPAN_UNIT_GAMMA * floats; /* LCE adds what the library subtracts */
        for (size_t i = 0; i < floats; i++) gamma[i] = -gamma[i];
        gather(graph, group, UNIT_FILTER, bnnpan_unit_bits_bytes(channels), bits);
        blocks->units = bnnpan_units_prepare(blocks->memory, kernels, channels, group->blocks,
                                             group->unit[0][0]->outer_skip, bits, parameters,
                                             BNNPAN_SUB_BANDS * (size_t)channels);
    }
    free(values);
    free(bits);
    return blocks->units != NULL;
}

bool litert_blocks_open(litert_blocks *blocks, const litert_graph *graph, const litert_group *group,
                        const bnnpan_kernels *kernels) {
    memset(blocks, 0, sizeof *blocks);
    for (int32_t block = 0; block < group->blocks; block++) {
        blocks->gains[block] = group->unit[block][0]->gain;
        blocks->offsets[block] = group->unit[block][0]->offset;
    }
    const size_t channels = (size_t)group->unit[0][0]->match.channels;
    blocks->affines = calloc((size_t)group->blocks * 2 * channels, sizeof *blocks->affines);
    return blocks->affines != NULL && prepare_units(blocks, graph, group, kernels);
}

void litert_blocks_close(litert_blocks *blocks) {
    free(blocks->affines);
    free(blocks->memory);
}

static bool is_vector(const litert_context *context, int32_t tensor, int32_t channels) {
    if (tensor == LITERT_NO_TENSOR) return true;
    const litert_ints *dims = context->tensors[tensor].dims;
    return dims->size == 1 && dims->data[0] == channels;
}

bool litert_affines_fit(const litert_blocks *blocks, const litert_context *context) {
    for (int32_t block = 0; block < blocks->units->blocks; block++)
        if (!is_vector(context, blocks->gains[block], blocks->units->channels) ||
            !is_vector(context, blocks->offsets[block], blocks->units->channels))
            return false;
    return true;
}

/* The library takes the offset of a plane of pixels, which is half of what LL is given. */
void litert_read_affines(litert_blocks *blocks, const litert_context *context) {
    const int32_t channels = blocks->units->channels;
    float *gain = blocks->affines;
    for (int32_t block = 0; block < blocks->units->blocks; block++, gain += 2 * channels) {
        const bool given = blocks->gains[block] != LITERT_NO_TENSOR;
        const float *gains = given ? context->tensors[blocks->gains[block]].data : NULL;
        const float *offsets = given ? context->tensors[blocks->offsets[block]].data : NULL;
        for (int32_t c = 0; c < channels; c++) {
            gain[c] = given ? gains[c] : 1.0f;
            gain[channels + c] = given ? 0.5f * offsets[c] : 0.0f;
        }
    }
}
