/* BinaryTrunk and BinaryBlock: the trunk on its own. */
#include <stdlib.h>

#include "../../stages/trunk.h"
#include "image.h"
#include "node.h"

enum { IMAGES = 0, AFFINES = 3 };

/* One call; everything it writes to is its own. */
typedef struct trunk_call {
    const onnx_node *node;
    onnx_tensor input;
    const float *affines; /* (N, 2, C) */
    float *identity;      /* (2, C): affines of a block on its own */
    onnx_image image;
    bnnpan_trunk trunk;
} trunk_call;

static int is_side(int64_t cells) { return cells >= 1 && cells <= BNNPAN_MAX_SIDE / 2; }

/* Features (n, C, 2 rows, 2 cols). */
static onnx_status *read_features(trunk_call *call) {
    const onnx_node *node = call->node;
    const int64_t *dims = call->input.dims;
    char found[ONNX_SHAPE_TEXT];
    if (call->input.rank != 4 || dims[1] != call->image.channels || dims[2] % 2 || dims[3] % 2 ||
        !is_side(dims[2] / 2) || !is_side(dims[3] / 2))
        return onnx_error(node->api, ONNX_INVALID_ARGUMENT,
                          "%s: features have shape %s, must be (n, %d, height, width), both even, 2 to %d",
                          node->form->name, onnx_shape_text(found, dims, call->input.rank), (int)call->image.channels,
                          BNNPAN_MAX_SIDE);
    call->image.rows = (int32_t)(dims[2] / 2);
    call->image.cols = (int32_t)(dims[3] / 2);
    return NULL;
}

/* Sub-bands (n, 4, C, rows, cols). */
static onnx_status *read_sub_bands(trunk_call *call) {
    const onnx_node *node = call->node;
    const int64_t *dims = call->input.dims;
    char found[ONNX_SHAPE_TEXT];
    if (call->input.rank != 5 || dims[1] != BNNPAN_SUB_BANDS || dims[2] != call->image.channels || !is_side(dims[3]) ||
        !is_side(dims[4]))
        return onnx_error(node->api, ONNX_INVALID_ARGUMENT,
                          "%s: sub_bands have shape %s, must be (n, 4, %d, height, width), both 1 to %d",
                          node->form->name, onnx_shape_text(found, dims, call->input.rank), (int)call->image.channels,
                          BNNPAN_MAX_SIDE / 2);
    call->image.rows = (int32_t)dims[3];
    call->image.cols = (int32_t)dims[4];
    return NULL;
}

static size_t lay_out(trunk_call *call, const bnnpan_units *units, void *memory) {
    bnnpan_arena arena = bnnpan_arena_open(memory);
    bnnpan_trunk_layout(&call->trunk, &arena, units, call->image.rows, call->image.cols);
    onnx_image_layout(&call->image, &arena);
    call->identity = bnnpan_arena_take(&arena, 2 * (size_t)units->channels, sizeof(float));
    return bnnpan_arena_bytes(&arena);
}

static void run(trunk_call *call, float *output) {
    const int is_block = call->node->form->is_block;
    const size_t floats = onnx_image_floats(&call->image);
    bnnpan_row_source *source = is_block ? onnx_take_sub_bands : onnx_take_features;
    bnnpan_row_sink *sink = is_block ? onnx_give_sub_bands : onnx_give_features;
    onnx_image_start(&call->image);
    if (is_block) {
        bnnpan_identity_affines(call->identity, call->trunk.units->blocks, call->image.channels);
        call->affines = call->identity;
    }
    for (int64_t i = 0; i < call->input.dims[0]; i++) {
        call->image.from = (const float *)call->input.data + (size_t)i * floats;
        call->image.to = output + (size_t)i * floats;
        bnnpan_trunk_run(&call->trunk, call->trunk.units->blocks, call->affines, source, &call->image, sink,
                         &call->image);
    }
}

onnx_status *onnx_compute_sub_bands(const onnx_node *node, const bnnpan_model *model, onnx_context *context) {
    trunk_call call = {.node = node, .image = {.kernels = model->kernels, .channels = model->shape.channels}};
    float *output;
    ONNX_TRY(onnx_read_input(node->api, context, IMAGES, &call.input));
    ONNX_TRY(node->form->is_block ? read_sub_bands(&call) : read_features(&call));
    if (!node->form->is_block) ONNX_TRY(onnx_read_affines(node, context, AFFINES, &call.affines));
    ONNX_TRY(onnx_make_output(node->api, context, &call.input, &output));
    void *memory = malloc(lay_out(&call, model->units, NULL));
    if (memory == NULL) return onnx_node_error(node, "memory is short");
    lay_out(&call, model->units, memory);
    run(&call, output);
    free(memory);
    return NULL;
}
