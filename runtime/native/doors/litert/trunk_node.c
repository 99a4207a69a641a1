#include "trunk_node.h"

#include <stdlib.h>
#include <string.h>

#include "../../stages/trunk.h"

struct trunk_node {
    int32_t channels, blocks;
    int32_t inputs[BNNPAN_UNITS_PER_BLOCK], outputs[BNNPAN_UNITS_PER_BLOCK];     /* tensors */
    int32_t gains[BNNPAN_MAX_BLOCKS], offsets[BNNPAN_MAX_BLOCKS];                /* tensors */
    float *affines;                                                              /* (blocks, 2, C) */
    void *unit_memory;
    const bnnpan_units *units;
    bnnpan_trunk trunk;
    void *arena;
};

/* Rows of the sub-bands of one image of the batch, channels last. */
typedef struct sub_band_images {
    int32_t channels, cols;
    const float *from[BNNPAN_UNITS_PER_BLOCK];
    float *to[BNNPAN_UNITS_PER_BLOCK];
} sub_band_images;

static const void *data_of(const litert_graph *graph, const litert_unit *unit, int32_t place) {
    return graph->context->tensors[unit->tensor[place]].data;
}

/* One parameter of all units, (blocks, 4, C). */
static void gather(const litert_graph *graph, const litert_group *group, int32_t place, float *values) {
    const int32_t channels = group->unit[0][0]->channels;
    for (int32_t block = 0; block < group->blocks; block++)
        for (int32_t i = 0; i < BNNPAN_UNITS_PER_BLOCK; i++, values += channels)
            memcpy(values, data_of(graph, group->unit[block][i], place), (size_t)channels * sizeof *values);
}

static void gather_bits(const litert_graph *graph, const litert_group *group, uint8_t *bits) {
    const size_t bytes = bnnpan_unit_bits_bytes(group->unit[0][0]->channels);
    for (int32_t block = 0; block < group->blocks; block++)
        for (int32_t i = 0; i < BNNPAN_UNITS_PER_BLOCK; i++, bits += bytes)
            memcpy(bits, data_of(graph, group->unit[block][i], UNIT_FILTER), bytes);
}

static const int32_t PLACES[BNNPAN_UNIT_PARAMETERS] = {
    [BNNPAN_UNIT_SHIFT] = UNIT_SHIFT, [BNNPAN_UNIT_SCALE] = UNIT_SCALE,
    [BNNPAN_UNIT_GAMMA] = UNIT_MINUS_GAMMA, [BNNPAN_UNIT_BETA] = UNIT_BETA,
    [BNNPAN_UNIT_ZETA] = UNIT_ZETA, [BNNPAN_UNIT_INVERSE_LAMBDA] = UNIT_INVERSE_LAMBDA,
    [BNNPAN_UNIT_PHI] = UNIT_PHI, [BNNPAN_UNIT_ETA] = UNIT_ETA,
};

static bool prepare_units(trunk_node *node, const litert_graph *graph, const litert_group *group,
                          const bnnpan_kernels *kernels) {
    const size_t units = (size_t)node->blocks * BNNPAN_UNITS_PER_BLOCK, floats = units * (size_t)node->channels;
    const float *parameters[BNNPAN_UNIT_PARAMETERS];
    float *values = malloc(BNNPAN_UNIT_PARAMETERS * floats * sizeof *values);
    uint8_t *bits = malloc(units * bnnpan_unit_bits_bytes(node->channels));
    node->unit_memory = malloc(bnnpan_units_bytes(node->channels, node->blocks) + BNNPAN_ALIGNMENT);
    const bool allocated = values != NULL && bits != NULL && node->unit_memory != NULL;
    if (allocated) {
        for (int32_t i = 0; i < BNNPAN_UNIT_PARAMETERS; i++) {
            parameters[i] = values + (size_t)i * floats;
            gather(graph, group, PLACES[i], values + (size_t)i * floats);
        }
        float *gamma = values + BNNPAN_UNIT_GAMMA * floats;
        for (size_t i = 0; i < floats; i++) gamma[i] = -gamma[i];
        gather_bits(graph, group, bits);
        bnnpan_arena arena = bnnpan_arena_open(node->unit_memory);
        node->units = bnnpan_units_prepare(arena.base, kernels, node->channels, node->blocks,
                                           group->unit[0][0]->outer_skip, bits, parameters,
                                           BNNPAN_UNITS_PER_BLOCK * (size_t)node->channels);
    }
    free(values);
    free(bits);
    return allocated && node->units != NULL;
}

trunk_node *litert_trunk_open(const litert_graph *graph, const litert_group *group, const bnnpan_kernels *kernels) {
    trunk_node *node = calloc(1, sizeof *node);
    if (node == NULL) return NULL;
    node->channels = group->unit[0][0]->channels;
    node->blocks = group->blocks;
    for (int32_t i = 0; i < BNNPAN_UNITS_PER_BLOCK; i++) {
        node->inputs[i] = group->unit[0][i]->tensor[UNIT_INPUT];
        node->outputs[i] = group->unit[group->blocks - 1][i]->tensor[UNIT_OUTPUT];
    }
    for (int32_t block = 0; block < node->blocks; block++) {
        node->gains[block] = group->unit[block][0]->gain;
        node->offsets[block] = group->unit[block][0]->offset;
    }
    node->affines = calloc((size_t)node->blocks * 2 * (size_t)node->channels, sizeof *node->affines);
    if (node->affines != NULL && prepare_units(node, graph, group, kernels)) return node;
    litert_trunk_close(node);
    return NULL;
}

void litert_trunk_close(trunk_node *node) {
    if (node == NULL) return;
    free(node->affines);
    free(node->unit_memory);
    free(node->arena);
    free(node);
}

static void *take_over(litert_context *context, const char *buffer, size_t length) {
    const litert_partition *partition = (const litert_partition *)(const void *)buffer;
    trunk_node **pending = partition->delegate->data, *node = *pending;
    (void)context;
    (void)length;
    *pending = NULL;
    return node;
}

static void close_trunk(litert_context *context, void *data) {
    (void)context;
    litert_trunk_close(data);
}

static litert_status refuse(litert_context *context, const char *reason) {
    context->report_error(context, "bnnpan: trunk: %s", reason);
    return LITERT_ERROR;
}

static bool same_dims(const litert_ints *one, const litert_ints *other) {
    return one->size == other->size && memcmp(one->data, other->data, (size_t)one->size * sizeof one->data[0]) == 0;
}

static bool is_vector(const litert_context *context, int32_t tensor, int32_t channels) {
    if (tensor == LITERT_NO_TENSOR) return true;
    const litert_ints *dims = context->tensors[tensor].dims;
    return dims->size == 1 && dims->data[0] == channels;
}

static litert_status prepare_trunk(litert_context *context, litert_node *replacement) {
    trunk_node *node = replacement->user_data;
    if (node == NULL) return refuse(context, "was split by the runtime");
    const litert_ints *dims = context->tensors[node->inputs[0]].dims;
    if (dims->size != 4 || dims->data[3] != node->channels) return refuse(context, "the number of channels is fixed");
    if (dims->data[0] < 1 || dims->data[1] < 1 || dims->data[2] < 1 || dims->data[1] > BNNPAN_MAX_SIDE / 2 ||
        dims->data[2] > BNNPAN_MAX_SIDE / 2)
        return refuse(context, "height and width must be 1 to 16384");
    for (int32_t i = 0; i < BNNPAN_UNITS_PER_BLOCK; i++) {
        if (!same_dims(dims, context->tensors[node->inputs[i]].dims))
            return refuse(context, "the sub-bands must be of one size");
        litert_tensor *output = &context->tensors[node->outputs[i]];
        if (litert_resize(context, output, dims->size, dims->data) != LITERT_OK) return LITERT_ERROR;
    }
    for (int32_t block = 0; block < node->blocks; block++)
        if (!is_vector(context, node->gains[block], node->channels) ||
            !is_vector(context, node->offsets[block], node->channels))
            return refuse(context, "affines must have one value per channel");
    bnnpan_arena arena = bnnpan_arena_open(NULL);
    bnnpan_trunk_layout(&node->trunk, &arena, node->units, dims->data[1], dims->data[2]);
    free(node->arena);
    node->arena = malloc(bnnpan_arena_bytes(&arena));
    if (node->arena == NULL) return refuse(context, "memory is short");
    arena = bnnpan_arena_open(node->arena);
    bnnpan_trunk_layout(&node->trunk, &arena, node->units, dims->data[1], dims->data[2]);
    return LITERT_OK;
}

/* The affine as the library takes it: the offset of the pixel domain, which is half that of LL. */
static void read_affines(const litert_context *context, const trunk_node *node) {
    float *affine = node->affines;
    for (int32_t block = 0; block < node->blocks; block++, affine += 2 * node->channels) {
        const bool given = node->gains[block] != LITERT_NO_TENSOR;
        const float *gain = given ? context->tensors[node->gains[block]].data : NULL;
        const float *offset = given ? context->tensors[node->offsets[block]].data : NULL;
        for (int32_t c = 0; c < node->channels; c++) {
            affine[c] = given ? gain[c] : 1.0f;
            affine[node->channels + c] = given ? 0.5f * offset[c] : 0.0f;
        }
    }
}

static void read_row(void *context, int32_t row, float *x, int32_t stride) {
    const sub_band_images *images = context;
    const int32_t channels = images->channels, cols = images->cols;
    const size_t start = (size_t)row * (size_t)cols * (size_t)channels;
    for (int32_t i = 0; i < BNNPAN_UNITS_PER_BLOCK; i++) {
        const float *from = images->from[i] + start;
        for (int32_t c = 0; c < channels; c++, x += stride)
            for (int32_t col = 0; col < cols; col++) x[col] = from[(size_t)col * (size_t)channels + (size_t)c];
    }
}

static void write_row(void *context, int32_t row, const float *x, int32_t stride) {
    const sub_band_images *images = context;
    const int32_t channels = images->channels, cols = images->cols;
    const size_t start = (size_t)row * (size_t)cols * (size_t)channels;
    for (int32_t i = 0; i < BNNPAN_UNITS_PER_BLOCK; i++, x += (size_t)channels * (size_t)stride) {
        float *to = images->to[i] + start;
        for (int32_t col = 0; col < cols; col++)
            for (int32_t c = 0; c < channels; c++) *to++ = x[(size_t)c * (size_t)stride + (size_t)col];
    }
}

static litert_status run_trunk(litert_context *context, litert_node *replacement) {
    trunk_node *node = replacement->user_data;
    const int32_t *dims = context->tensors[node->inputs[0]].dims->data;
    const size_t image_floats = (size_t)dims[1] * (size_t)dims[2] * (size_t)dims[3];
    read_affines(context, node);
    for (int32_t batch = 0; batch < dims[0]; batch++) {
        sub_band_images images = {.channels = node->channels, .cols = dims[2]};
        for (int32_t i = 0; i < BNNPAN_UNITS_PER_BLOCK; i++) {
            images.from[i] = (const float *)context->tensors[node->inputs[i]].data + (size_t)batch * image_floats;
            images.to[i] = (float *)context->tensors[node->outputs[i]].data + (size_t)batch * image_floats;
        }
        bnnpan_trunk_run(&node->trunk, node->blocks, node->affines, read_row, &images, write_row, &images);
    }
    return LITERT_OK;
}

litert_registration litert_trunk_registration(void) {
    return (litert_registration){
        .init = take_over,
        .free = close_trunk,
        .prepare = prepare_trunk,
        .invoke = run_trunk,
        .custom_name = "BnnpanTrunk",
        .version = 1,
    };
}
