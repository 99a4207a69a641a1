/* Tensors and errors as operators meet them. Functions that can fail return NULL or the reason, which the caller
 * passes on to ONNX Runtime. */
#ifndef BNNPAN_ONNX_TENSOR_H
#define BNNPAN_ONNX_TENSOR_H

#include "abi.h"

/* Leaves the function with the reason when `call` fails. */
#define ONNX_TRY(call)                             \
    do {                                           \
        onnx_status *const failed = (call);        \
        if (failed != NULL) return failed;         \
    } while (0)

/* Most axes of an operand: those of the filters. */
enum { ONNX_LARGEST_RANK = 6 };

/* C-contiguous; its element type is the one the operator declares, which ONNX Runtime checks. */
typedef struct onnx_tensor {
    void *data;
    size_t rank;
    int64_t dims[ONNX_LARGEST_RANK]; /* the first ones, if there are more */
} onnx_tensor;

/* A reason, written as printf does. */
onnx_status *onnx_error(const onnx_api *api, int code, const char *format, ...);

onnx_status *onnx_read_input(const onnx_api *api, const onnx_context *context, size_t index, onnx_tensor *tensor);

/* An input that the graph has as an initialiser; data is NULL for any other. */
onnx_status *onnx_read_constant(const onnx_api *api, const onnx_kernel_info *info, size_t index, onnx_tensor *tensor);

/* The output of the operator, in the shape of `like`. */
onnx_status *onnx_make_output(const onnx_api *api, onnx_context *context, const onnx_tensor *like, float **data);

/* Fails unless the shape is `dims`; `op` and `name` say where. */
onnx_status *onnx_expect_shape(const onnx_api *api, const char *op, const char *name, const onnx_tensor *tensor,
                               const int64_t *dims, size_t rank);

/* The shape as text, "(1, 32, 64, 64)". */
enum { ONNX_SHAPE_TEXT = 160 };
const char *onnx_shape_text(char text[ONNX_SHAPE_TEXT], const int64_t *dims, size_t rank);

#endif
