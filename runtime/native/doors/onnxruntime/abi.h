/* What ONNX Runtime and a library of custom operators pass to each other, restated: no wheel brings the headers, and
 * nothing of the runtime is linked. Only what this door uses is named.
 *
 * Source: include/onnxruntime/core/session/onnxruntime_c_api.h of github.com/microsoft/onnxruntime (MIT). OrtApi is a
 * table of function pointers to which versions only append, so a place in it, once known, holds for all later ones;
 * tests/runtime/onnx_abi_check.c compares this file with that header wherever one is installed. Platforms on which
 * ORT_API_CALL is empty: all but Windows. */
#ifndef BNNPAN_ONNX_ABI_H
#define BNNPAN_ONNX_ABI_H

#include <stddef.h>
#include <stdint.h>

/* Of the table and the operators below; ONNX Runtime 1.16 is the first to offer it, and all later ones do. */
enum { ONNX_API_VERSION = 16 };

enum { ONNX_FAIL = 1, ONNX_INVALID_ARGUMENT = 2 }; /* OrtErrorCode */
enum { ONNX_FLOAT = 1, ONNX_UINT8 = 2 };           /* ONNXTensorElementDataType */
enum { ONNX_REQUIRED = 0 };                        /* OrtCustomOpInputOutputCharacteristic */
enum { ONNX_DEFAULT_MEMORY = 0 };                  /* OrtMemType */

typedef struct onnx_status onnx_status; /* OrtStatus; NULL is success */
typedef struct onnx_value onnx_value;
typedef struct onnx_tensor_info onnx_tensor_info; /* OrtTensorTypeAndShapeInfo */
typedef struct onnx_kernel_info onnx_kernel_info;
typedef struct onnx_context onnx_context; /* OrtKernelContext */
typedef struct onnx_options onnx_options; /* OrtSessionOptions */
typedef struct onnx_domain onnx_domain;   /* OrtCustomOpDomain */
typedef struct onnx_op onnx_op;

/* A gap of `count` functions that are not used here. */
#define ONNX_GAP(first, count) void (*gap_##first[count])(void)

typedef struct onnx_api { /* OrtApi; the number is the place in it */
    onnx_status *(*create_status)(int code, const char *message); /* 0 */
    ONNX_GAP(1, 25);
    onnx_status *(*create_domain)(const char *name, onnx_domain **domain);                         /* 26 */
    onnx_status *(*add_op)(onnx_domain *domain, const onnx_op *op);                                /* 27 */
    onnx_status *(*add_domain)(onnx_options *options, onnx_domain *domain);                        /* 28 */
    ONNX_GAP(29, 22);
    onnx_status *(*tensor_data)(onnx_value *value, void **data); /* 51 */
    ONNX_GAP(52, 9);
    onnx_status *(*rank)(const onnx_tensor_info *info, size_t *rank);                              /* 61 */
    onnx_status *(*dims)(const onnx_tensor_info *info, int64_t *dims, size_t count);               /* 62 */
    ONNX_GAP(63, 2);
    onnx_status *(*tensor_info)(const onnx_value *value, onnx_tensor_info **info); /* 65 */
    ONNX_GAP(66, 19);
    onnx_status *(*float_attribute)(const onnx_kernel_info *info, const char *name, float *value);     /* 85 */
    onnx_status *(*integer_attribute)(const onnx_kernel_info *info, const char *name, int64_t *value); /* 86 */
    ONNX_GAP(87, 3);
    onnx_status *(*input)(const onnx_context *context, size_t index, const onnx_value **value); /* 90 */
    onnx_status *(*output)(onnx_context *context, size_t index, const int64_t *dims, size_t rank,
                           onnx_value **value); /* 91 */
    ONNX_GAP(92, 7);
    void (*release_tensor_info)(onnx_tensor_info *info); /* 99 */
    ONNX_GAP(100, 149);
    onnx_status *(*constant_input)(const onnx_kernel_info *info, size_t index, int *is_constant,
                                   const onnx_value **value); /* 249 */
} onnx_api;

#define ONNX_PLACE(member, place) \
    _Static_assert(offsetof(onnx_api, member) == (place) * sizeof(void *), #member " is in the wrong place")

ONNX_PLACE(create_status, 0);
ONNX_PLACE(create_domain, 26);
ONNX_PLACE(add_op, 27);
ONNX_PLACE(add_domain, 28);
ONNX_PLACE(tensor_data, 51);
ONNX_PLACE(rank, 61);
ONNX_PLACE(dims, 62);
ONNX_PLACE(tensor_info, 65);
ONNX_PLACE(float_attribute, 85);
ONNX_PLACE(integer_attribute, 86);
ONNX_PLACE(input, 90);
ONNX_PLACE(output, 91);
ONNX_PLACE(release_tensor_info, 99);
ONNX_PLACE(constant_input, 249);

typedef struct onnx_api_base { /* OrtApiBase */
    const onnx_api *(*api)(uint32_t version);
    const char *(*version)(void);
} onnx_api_base;

/* OrtCustomOp as far as API version 16 knows it: ONNX Runtime reads what was added later only from operators that
 * state a later version. */
struct onnx_op {
    uint32_t version;
    void *(*create_without_status)(const onnx_op *op, const onnx_api *api, const onnx_kernel_info *info);
    const char *(*name)(const onnx_op *op);
    const char *(*provider)(const onnx_op *op); /* NULL: CPU */
    int (*input_type)(const onnx_op *op, size_t index);
    size_t (*inputs)(const onnx_op *op);
    int (*output_type)(const onnx_op *op, size_t index);
    size_t (*outputs)(const onnx_op *op);
    void (*compute_without_status)(void *kernel, onnx_context *context);
    void (*destroy)(void *kernel);
    int (*input_characteristic)(const onnx_op *op, size_t index);
    int (*output_characteristic)(const onnx_op *op, size_t index);
    int (*input_memory)(const onnx_op *op, size_t index);
    int (*variadic_inputs_at_least)(const onnx_op *op);
    int (*variadic_inputs_alike)(const onnx_op *op);
    int (*variadic_outputs_at_least)(const onnx_op *op);
    int (*variadic_outputs_alike)(const onnx_op *op);
    onnx_status *(*create)(const onnx_op *op, const onnx_api *api, const onnx_kernel_info *info, void **kernel);
    onnx_status *(*compute)(void *kernel, onnx_context *context);
};

#endif
