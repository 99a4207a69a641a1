#include "tensor.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { LONGEST_MESSAGE = 512 };

onnx_status *onnx_error(const onnx_api *api, int code, const char *format, ...) {
    char message[LONGEST_MESSAGE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    return api->create_status(code, message);
}

static onnx_status *read_dims(const onnx_api *api, const onnx_tensor_info *info, onnx_tensor *tensor) {
    ONNX_TRY(api->rank(info, &tensor->rank));
    return api->dims(info, tensor->dims, tensor->rank < ONNX_LARGEST_RANK ? tensor->rank : ONNX_LARGEST_RANK);
}

static onnx_status *read_tensor(const onnx_api *api, const onnx_value *value, onnx_tensor *tensor) {
    onnx_tensor_info *info;
    *tensor = (onnx_tensor){.rank = 0};
    ONNX_TRY(api->tensor_info(value, &info));
    onnx_status *status = read_dims(api, info, tensor);
    api->release_tensor_info(info);
    /* Its only way to the data of inputs, too, which are then read only. */
    return status != NULL ? status : api->tensor_data((onnx_value *)(uintptr_t)value, &tensor->data);
}

onnx_status *onnx_read_input(const onnx_api *api, const onnx_context *context, size_t index, onnx_tensor *tensor) {
    const onnx_value *value;
    ONNX_TRY(api->input(context, index, &value));
    return read_tensor(api, value, tensor);
}

onnx_status *onnx_read_constant(const onnx_api *api, const onnx_kernel_info *info, size_t index, onnx_tensor *tensor) {
    const onnx_value *value = NULL;
    int is_constant = 0;
    tensor->data = NULL;
    ONNX_TRY(api->constant_input(info, index, &is_constant, &value));
    return is_constant ? read_tensor(api, value, tensor) : NULL;
}

onnx_status *onnx_make_output(const onnx_api *api, onnx_context *context, const onnx_tensor *like, float **data) {
    onnx_value *value;
    void *start;
    ONNX_TRY(api->output(context, 0, like->dims, like->rank, &value));
    ONNX_TRY(api->tensor_data(value, &start));
    *data = start;
    return NULL;
}

const char *onnx_shape_text(char text[ONNX_SHAPE_TEXT], const int64_t *dims, size_t rank) {
    int end = snprintf(text, ONNX_SHAPE_TEXT, "(");
    for (size_t i = 0; i < rank && i < ONNX_LARGEST_RANK; i++)
        end += snprintf(text + end, (size_t)(ONNX_SHAPE_TEXT - end), i ? ", %" PRId64 : "%" PRId64, dims[i]);
    snprintf(text + end, (size_t)(ONNX_SHAPE_TEXT - end), rank > ONNX_LARGEST_RANK ? ", ...)" : ")");
    return text;
}

onnx_status *onnx_expect_shape(const onnx_api *api, const char *op, const char *name, const onnx_tensor *tensor,
                               const int64_t *dims, size_t rank) {
    char found[ONNX_SHAPE_TEXT], expected[ONNX_SHAPE_TEXT];
    if (tensor->rank == rank && memcmp(tensor->dims, dims, rank * sizeof *dims) == 0) return NULL;
    return onnx_error(api, ONNX_INVALID_ARGUMENT, "%s: %s have shape %s, must be %s", op, name,
                      onnx_shape_text(found, tensor->dims, tensor->rank), onnx_shape_text(expected, dims, rank));
}
