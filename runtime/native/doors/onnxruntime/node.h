/* A node of a session that runs one of the operators: attributes and prepared weights. Read-only once created, so any
 * number of threads may compute with it. */
#ifndef BNNPAN_ONNX_NODE_H
#define BNNPAN_ONNX_NODE_H

#include "../../engine/model.h"
#include "tensor.h"

/* Weights among the inputs, one after another; operators without head and tail take the first two. */
enum {
    ONNX_BITS,        /* uint8; all others are float32 */
    ONNX_PARAMETERS,
    ONNX_HEAD_WEIGHT, /* (C, bands + 1, 3, 3), LMS before PAN */
    ONNX_HEAD_BIAS,
    ONNX_TAIL_WEIGHT, /* (bands, C, 3, 3) */
    ONNX_TAIL_BIAS,
    ONNX_MOST_WEIGHTS
};

typedef struct onnx_node onnx_node;

/* What the operators differ in. */
typedef struct onnx_form {
    const char *name;
    size_t inputs;
    size_t first_weight, weights; /* inputs first_weight and following */
    int is_block;                 /* 1: a single block; its weights have no axis of blocks, and it has no affine */
    onnx_status *(*compute)(const onnx_node *node, const bnnpan_model *model, onnx_context *context);
} onnx_form;

struct onnx_node {
    const onnx_api *api;
    const onnx_form *form;
    bnnpan_model model; /* what the operator needs of it; no units yet if the graph computes the weights */
};

onnx_status *onnx_node_create(const onnx_form *form, const onnx_api *api, const onnx_kernel_info *info,
                              onnx_node **node);
void onnx_node_destroy(onnx_node *node);

/* Weights that are no initialisers are prepared anew for each run. */
onnx_status *onnx_node_compute(const onnx_node *node, onnx_context *context);

/* Reads (N, 2, C). */
onnx_status *onnx_read_affines(const onnx_node *node, const onnx_context *context, size_t index,
                               const float **affines);

onnx_status *onnx_node_error(const onnx_node *node, const char *message);

/* Checks the weights and prepares them in memory of their own, model->memory. */
onnx_status *onnx_prepare_model(const onnx_node *node, const onnx_tensor weights[ONNX_MOST_WEIGHTS],
                                bnnpan_model *model);

/* How the operators compute. Their scratch is allocated and freed in each call: calls side by side share nothing, and
 * a session at rest holds none. */
onnx_status *onnx_compute_sub_bands(const onnx_node *node, const bnnpan_model *model, onnx_context *context);
onnx_status *onnx_compute_window(const onnx_node *node, const bnnpan_model *model, onnx_context *context);

#endif
