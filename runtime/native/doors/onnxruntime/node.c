#include "node.h"

#include <stdlib.h>

onnx_status *onnx_node_error(const onnx_node *node, const char *message) {
    return onnx_error(node->api, ONNX_FAIL, "%s: %s", node->form->name, message);
}

static onnx_status *read_integer(const onnx_node *node, const onnx_kernel_info *info, const char *name,
                                 int32_t smallest, int32_t largest, int32_t *value) {
    int64_t stored;
    ONNX_TRY(node->api->integer_attribute(info, name, &stored));
    if (stored < smallest || stored > largest)
        return onnx_error(node->api, ONNX_INVALID_ARGUMENT, "%s: %s is %lld, must be %d to %d", node->form->name, name,
                          (long long)stored, (int)smallest, (int)largest);
    *value = (int32_t)stored;
    return NULL;
}

static onnx_status *read_attributes(onnx_node *node, const onnx_kernel_info *info) {
    bnnpan_shape *shape = &node->model.shape;
    float epsilon;
    ONNX_TRY(read_integer(node, info, "channels", 1, BNNPAN_MAX_CHANNELS, &shape->channels));
    if (!node->form->is_block) {
        ONNX_TRY(read_integer(node, info, "blocks", 1, BNNPAN_MAX_BLOCKS, &shape->blocks));
        ONNX_TRY(read_integer(node, info, "outer_skip", 0, 1, &shape->outer_skip));
    }
    ONNX_TRY(node->api->float_attribute(info, "norm_epsilon", &epsilon));
    if (epsilon != BNNPAN_VARIANCE_EPSILON)
        return onnx_error(node->api, ONNX_INVALID_ARGUMENT, "%s: norm_epsilon is %g, must be %g", node->form->name,
                          (double)epsilon, (double)BNNPAN_VARIANCE_EPSILON);
    return NULL;
}

/* By the environment variable that the native backend obeys, too. */
static onnx_status *choose_kernels(onnx_node *node) {
    const char *wanted = getenv("BNNPAN_ISA");
    if (wanted != NULL && wanted[0] == '\0') wanted = NULL;
    node->model.kernels = bnnpan_find_kernels(wanted);
    if (node->model.kernels != NULL) return NULL;
    return onnx_error(node->api, ONNX_FAIL, "%s: instruction set BNNPAN_ISA=%s is not available", node->form->name,
                      wanted);
}

static onnx_status *prepare_constants(onnx_node *node, const onnx_kernel_info *info) {
    onnx_tensor weights[ONNX_MOST_WEIGHTS];
    for (size_t i = 0; i < node->form->weights; i++) {
        ONNX_TRY(onnx_read_constant(node->api, info, node->form->first_weight + i, &weights[i]));
        if (weights[i].data == NULL) return NULL;
    }
    return onnx_prepare_model(node, weights, &node->model);
}

static onnx_status *fill(onnx_node *node, const onnx_kernel_info *info) {
    ONNX_TRY(read_attributes(node, info));
    ONNX_TRY(choose_kernels(node));
    return prepare_constants(node, info);
}

onnx_status *onnx_node_create(const onnx_form *form, const onnx_api *api, const onnx_kernel_info *info,
                              onnx_node **created) {
    onnx_node *node = malloc(sizeof *node);
    if (node == NULL) return onnx_error(api, ONNX_FAIL, "%s: memory is short", form->name);
    *node = (onnx_node){.api = api, .form = form, .model = {.shape = {.blocks = 1}}};
    onnx_status *status = fill(node, info);
    if (status != NULL) onnx_node_destroy(node);
    *created = status == NULL ? node : NULL;
    return status;
}

void onnx_node_destroy(onnx_node *node) {
    free(node->model.memory);
    free(node);
}

onnx_status *onnx_node_compute(const onnx_node *node, onnx_context *context) {
    onnx_tensor weights[ONNX_MOST_WEIGHTS];
    bnnpan_model model = node->model;
    if (model.units != NULL) return node->form->compute(node, &model, context);
    for (size_t i = 0; i < node->form->weights; i++)
        ONNX_TRY(onnx_read_input(node->api, context, node->form->first_weight + i, &weights[i]));
    ONNX_TRY(onnx_prepare_model(node, weights, &model));
    onnx_status *status = node->form->compute(node, &model, context);
    free(model.memory);
    return status;
}

onnx_status *onnx_read_affines(const onnx_node *node, const onnx_context *context, size_t index,
                               const float **affines) {
    const int64_t dims[] = {node->model.shape.blocks, 2, node->model.shape.channels};
    onnx_tensor tensor;
    ONNX_TRY(onnx_read_input(node->api, context, index, &tensor));
    ONNX_TRY(onnx_expect_shape(node->api, node->form->name, "affines", &tensor, dims, 3));
    *affines = tensor.data;
    return NULL;
}
