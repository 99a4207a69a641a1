/* Fuse: a whole window, so that nothing of the size of its features ever exists. */
#include <stdlib.h>

#include "node.h"

enum { PAN = 0, LMS = 1, AFFINES = 2 };

static onnx_status *check_images(const onnx_node *node, const bnnpan_model *model, const onnx_tensor *pan,
                                 const onnx_tensor *lms) {
    const int64_t *dims = lms->dims;
    const int fits = lms->rank == 4 && dims[1] == model->shape.bands && dims[2] <= BNNPAN_MAX_SIDE &&
                     dims[3] <= BNNPAN_MAX_SIDE && bnnpan_size_is_valid((int32_t)dims[2], (int32_t)dims[3]);
    char found[ONNX_SHAPE_TEXT];
    if (!fits)
        return onnx_error(node->api, ONNX_INVALID_ARGUMENT,
                          "%s: lms have shape %s, must be (n, %d, height, width), both even, 2 to %d",
                          node->form->name, onnx_shape_text(found, dims, lms->rank), (int)model->shape.bands,
                          BNNPAN_MAX_SIDE);
    return onnx_expect_shape(node->api, node->form->name, "pan", pan, (int64_t[]){dims[0], 1, dims[2], dims[3]}, 4);
}

onnx_status *onnx_compute_window(const onnx_node *node, const bnnpan_model *model, onnx_context *context) {
    onnx_tensor pan, lms;
    const float *affines;
    float *output;
    ONNX_TRY(onnx_read_input(node->api, context, PAN, &pan));
    ONNX_TRY(onnx_read_input(node->api, context, LMS, &lms));
    ONNX_TRY(check_images(node, model, &pan, &lms));
    ONNX_TRY(onnx_read_affines(node, context, AFFINES, &affines));
    ONNX_TRY(onnx_make_output(node->api, context, &lms, &output));
    const int32_t height = (int32_t)lms.dims[2], width = (int32_t)lms.dims[3];
    const size_t pixels = (size_t)height * (size_t)width, bands = (size_t)model->shape.bands;
    const size_t bytes = bnnpan_fuse_arena_bytes(model, height, width);
    void *memory = malloc(bytes);
    int32_t status = memory != NULL ? BNNPAN_OK : BNNPAN_SMALL_ARENA;
    for (size_t i = 0; status == BNNPAN_OK && i < (size_t)lms.dims[0]; i++)
        status = bnnpan_fuse(model, height, width, (const float *)pan.data + i * pixels,
                             (const float *)lms.data + i * bands * pixels, affines, output + i * bands * pixels,
                             memory, bytes);
    free(memory);
    if (status == BNNPAN_OK) return NULL;
    return onnx_node_error(node, status == BNNPAN_SMALL_ARENA ? "memory is short" : "images must be aligned floats");
}
