/* From the tensors of a graph to what the stages work with. */
#include <stdlib.h>
#include <string.h>

#include "node.h"

static onnx_status *expect(const onnx_node *node, const onnx_tensor *weights, int weight, const char *name,
                           const int64_t *dims, size_t rank) {
    return onnx_expect_shape(node->api, node->form->name, name, &weights[weight], dims, rank);
}

static onnx_status *check_units(const onnx_node *node, const onnx_tensor *weights) {
    const bnnpan_shape *shape = &node->model.shape;
    const int64_t bytes = (int64_t)bnnpan_unit_bits_bytes(shape->channels) / (shape->channels * BNNPAN_TAPS);
    const int64_t bits[] = {shape->blocks, BNNPAN_SUB_BANDS, shape->channels, 3, 3, bytes};
    const int64_t parameters[] = {shape->blocks, BNNPAN_UNIT_PARAMETERS, BNNPAN_SUB_BANDS, shape->channels};
    const size_t first = node->form->is_block ? 1 : 0;
    ONNX_TRY(expect(node, weights, ONNX_BITS, "bits", bits + first, 6 - first));
    return expect(node, weights, ONNX_PARAMETERS, "parameters", parameters + first, 4 - first);
}

/* The number of bands is that of the tail. */
static onnx_status *check_filters(const onnx_node *node, const onnx_tensor *weights, int32_t *bands) {
    const int64_t channels = node->model.shape.channels, b = weights[ONNX_TAIL_BIAS].dims[0];
    if (weights[ONNX_TAIL_BIAS].rank != 1 || b < 1 || b > BNNPAN_MAX_BANDS)
        return onnx_error(node->api, ONNX_INVALID_ARGUMENT, "%s: tail_bias must have 1 to %d values, one per band",
                          node->form->name, BNNPAN_MAX_BANDS);
    ONNX_TRY(expect(node, weights, ONNX_HEAD_WEIGHT, "head_weight", (int64_t[]){channels, b + 1, 3, 3}, 4));
    ONNX_TRY(expect(node, weights, ONNX_HEAD_BIAS, "head_bias", (int64_t[]){channels}, 1));
    ONNX_TRY(expect(node, weights, ONNX_TAIL_WEIGHT, "tail_weight", (int64_t[]){b, channels, 3, 3}, 4));
    *bands = (int32_t)b;
    return NULL;
}

typedef struct weight_parts {
    void *units;
    float *head_weight, *head_bias, *tail_weight, *tail_bias;
} weight_parts;

static size_t lay_out(weight_parts *parts, const bnnpan_shape *shape, void *memory) {
    const size_t bands = (size_t)shape->bands, channels = (size_t)shape->channels;
    bnnpan_arena arena = bnnpan_arena_open(memory);
    parts->units = bnnpan_arena_take(&arena, bnnpan_units_bytes(shape->channels, shape->blocks), 1);
    if (bands > 0) {
        parts->head_weight = bnnpan_arena_take(&arena, channels * (bands + 1) * BNNPAN_TAPS, sizeof(float));
        parts->head_bias = bnnpan_arena_take(&arena, channels, sizeof(float));
        parts->tail_weight = bnnpan_arena_take(&arena, bands * channels * BNNPAN_TAPS, sizeof(float));
        parts->tail_bias = bnnpan_arena_take(&arena, bands, sizeof(float));
    }
    return bnnpan_arena_bytes(&arena);
}

static void copy(float *to, const onnx_tensor *from, float factor) {
    const float *values = from->data;
    size_t count = 1;
    for (size_t i = 0; i < from->rank; i++) count *= (size_t)from->dims[i];
    for (size_t i = 0; i < count; i++) to[i] = factor * values[i];
}

/* The Haar transform's factor belongs to the head, see head_rows. */
static void prepare_filters(const weight_parts *parts, const onnx_tensor *weights, bnnpan_model *model) {
    copy(parts->head_weight, &weights[ONNX_HEAD_WEIGHT], 0.5f);
    copy(parts->head_bias, &weights[ONNX_HEAD_BIAS], 0.5f);
    copy(parts->tail_weight, &weights[ONNX_TAIL_WEIGHT], 1.0f);
    copy(parts->tail_bias, &weights[ONNX_TAIL_BIAS], 1.0f);
    model->head = (bnnpan_filters){parts->head_weight, parts->head_bias, model->shape.channels};
    model->tail = (bnnpan_filters){parts->tail_weight, parts->tail_bias, model->shape.bands};
}

static const bnnpan_units *prepare_units(void *memory, const onnx_tensor *weights, const bnnpan_model *model) {
    const bnnpan_shape *shape = &model->shape;
    const size_t each = BNNPAN_SUB_BANDS * (size_t)shape->channels;
    const float *parameters[BNNPAN_UNIT_PARAMETERS];
    for (size_t i = 0; i < BNNPAN_UNIT_PARAMETERS; i++)
        parameters[i] = (const float *)weights[ONNX_PARAMETERS].data + i * each;
    return bnnpan_units_prepare(memory, model->kernels, shape->channels, shape->blocks, shape->outer_skip,
                                weights[ONNX_BITS].data, parameters, BNNPAN_UNIT_PARAMETERS * each);
}

onnx_status *onnx_prepare_model(const onnx_node *node, const onnx_tensor weights[ONNX_MOST_WEIGHTS],
                                bnnpan_model *model) {
    const int has_filters = node->form->weights > ONNX_HEAD_WEIGHT;
    weight_parts parts;
    ONNX_TRY(check_units(node, weights));
    if (has_filters) ONNX_TRY(check_filters(node, weights, &model->shape.bands));
    model->memory = malloc(lay_out(&parts, &model->shape, NULL));
    if (model->memory == NULL) return onnx_node_error(node, "memory is short");
    lay_out(&parts, &model->shape, model->memory);
    if (has_filters) prepare_filters(&parts, weights, model);
    model->units = prepare_units(parts.units, weights, model);
    return NULL;
}
