/* What a LiteRT (TensorFlow Lite) runtime and an external delegate pass to each other, restated: no wheel brings the
 * header, and nothing of the runtime is linked.
 *
 * Source: `tflite/core/c/common.h` and `builtin_op_data.h` of github.com/google-ai-edge/LiteRT, which equal
 * `tensorflow/lite/core/c/` of github.com/tensorflow/tensorflow (Apache-2.0). Only declarations that this delegate
 * needs, in their order; fields behind the last one used are left out where a pointer is all that passes. Not for
 * Windows, which has two more fields. The golden tile guards against a runtime that lays these out in another way. */
#ifndef BNNPAN_LITERT_ABI_H
#define BNNPAN_LITERT_ABI_H

#include <stddef.h>
#include <stdint.h>

typedef enum litert_status { LITERT_OK = 0, LITERT_ERROR = 1 } litert_status; /* TfLiteStatus */

enum { LITERT_FLOAT32 = 1, LITERT_INT32 = 2 };          /* TfLiteType */
enum { LITERT_READ_ONLY = 1 };                          /* TfLiteAllocationType: kTfLiteMmapRo */
enum { LITERT_ALLOW_DYNAMIC_TENSORS = 1 };              /* TfLiteDelegateFlags */
enum { LITERT_NO_TENSOR = -1 };                         /* kTfLiteOptionalTensor */

/* TfLiteBuiltinOperator */
enum {
    LITERT_ADD = 0,
    LITERT_CONCATENATION = 2,
    LITERT_CONV_2D = 3,
    LITERT_DEPTH_TO_SPACE = 5,
    LITERT_MUL = 18,
    LITERT_SPACE_TO_DEPTH = 26,
    LITERT_CUSTOM = 32,
    LITERT_MEAN = 40,
    LITERT_SUB = 41,
    LITERT_DIV = 42,
    LITERT_SPLIT = 49,
    LITERT_PRELU = 54,
    LITERT_SQRT = 75,
};

enum { LITERT_SAME_PADDING = 1 }; /* TfLitePadding */

/* TfLiteFusedActivation */
enum { LITERT_LINEAR = 0, LITERT_RELU = 1, LITERT_RELU_N1_TO_1 = 2, LITERT_RELU6 = 3 };

typedef struct litert_ints { /* TfLiteIntArray */
    int32_t size;
    int32_t data[];
} litert_ints;

typedef struct litert_tensor { /* TfLiteTensor */
    int32_t type;
    void *data;
    litert_ints *dims;
    struct {
        float scale;
        int32_t zero_point;
    } params;
    int32_t allocation_type;
    size_t bytes;
    const void *allocation;
    const char *name;
    void *delegate;
    int32_t buffer_handle;
    uint8_t data_is_stale;
    uint8_t is_variable;
    struct {
        int32_t type;
        void *params;
    } quantization;
    void *sparsity;
    const litert_ints *dims_signature;
} litert_tensor;

typedef struct litert_node { /* TfLiteNode */
    litert_ints *inputs, *outputs, *intermediates, *temporaries;
    void *user_data;
    void *builtin_data;
    const void *custom_initial_data;
    int32_t custom_initial_data_size;
    void *delegate;
    uint8_t might_have_side_effect;
} litert_node;

typedef struct litert_context litert_context;
typedef struct litert_delegate litert_delegate;

typedef struct litert_registration { /* TfLiteRegistration */
    void *(*init)(litert_context *context, const char *buffer, size_t length);
    void (*free)(litert_context *context, void *buffer);
    litert_status (*prepare)(litert_context *context, litert_node *node);
    litert_status (*invoke)(litert_context *context, litert_node *node);
    const char *(*profiling_string)(const litert_context *context, const litert_node *node);
    int32_t builtin_code;
    const char *custom_name;
    int32_t version;
    void *registration_external;
    void *async_kernel;
    uint64_t inplace_operator;
} litert_registration;

typedef struct litert_partition { /* TfLiteDelegateParams */
    litert_delegate *delegate;
    litert_ints *nodes, *inputs, *outputs;
} litert_partition;

struct litert_context { /* TfLiteContext */
    size_t tensors_size;
    litert_status (*get_execution_plan)(litert_context *context, litert_ints **plan);
    litert_tensor *tensors;
    void *impl;
    litert_status (*resize_tensor)(litert_context *context, litert_tensor *tensor, litert_ints *owned_dims);
    void (*report_error)(litert_context *context, const char *format, ...);
    litert_status (*add_tensors)(litert_context *context, int32_t count, int32_t *first);
    litert_status (*get_node_and_registration)(litert_context *context, int32_t index, litert_node **node,
                                               litert_registration **registration);
    litert_status (*replace_node_subsets)(litert_context *context, litert_registration registration,
                                          const litert_ints *nodes, litert_delegate *delegate);
    int32_t recommended_num_threads;
    void *(*get_external_context)(litert_context *context, int32_t type);
    void (*set_external_context)(litert_context *context, int32_t type, void *external);
    uint8_t allow_fp32_relax_to_fp16;
    void *profiler;
    void *(*allocate_persistent_buffer)(litert_context *context, size_t bytes);
    litert_status (*allocate_buffer_for_eval)(litert_context *context, size_t bytes, void **buffer);
    litert_status (*request_scratch_buffer)(litert_context *context, size_t bytes, int32_t *index);
    void *(*get_scratch_buffer)(litert_context *context, int32_t index);
    void *resize_tensor_explicit; /* NULL in stock runtimes */
    litert_status (*preview_partitioning)(litert_context *context, const litert_ints *nodes,
                                          litert_partition **partitions, int32_t *count);
};

struct litert_delegate { /* TfLiteDelegate */
    void *data;
    litert_status (*prepare)(litert_context *context, litert_delegate *delegate);
    void *copy_from_buffer_handle, *copy_to_buffer_handle, *free_buffer_handle;
    int64_t flags;
    void *opaque_delegate_builder;
};

typedef struct litert_arithmetic_options { /* first field of TfLiteAddParams, Sub, Mul, Div */
    int32_t activation;
} litert_arithmetic_options;

typedef struct litert_concatenation_options { /* TfLiteConcatenationParams */
    int32_t axis, activation;
} litert_concatenation_options;

typedef struct litert_convolution_options { /* TfLiteConvParams */
    int32_t padding, stride_cols, stride_rows, activation, dilation_cols, dilation_rows;
} litert_convolution_options;

typedef struct litert_count_options { /* TfLiteSpaceToDepthParams and DepthToSpace: block size; TfLiteSplitParams */
    int32_t count;
} litert_count_options;

typedef struct litert_reducer_options { /* TfLiteReducerParams */
    uint8_t keep_dims;
} litert_reducer_options;

/* Sizes and offsets of the header's own structures on 64-bit platforms. */
#if UINTPTR_MAX == UINT64_MAX
_Static_assert(sizeof(litert_tensor) == 112 && offsetof(litert_tensor, bytes) == 40, "TfLiteTensor");
_Static_assert(sizeof(litert_node) == 80 && offsetof(litert_node, custom_initial_data) == 48, "TfLiteNode");
_Static_assert(sizeof(litert_registration) == 88 && offsetof(litert_registration, custom_name) == 48,
               "TfLiteRegistration");
_Static_assert(offsetof(litert_context, replace_node_subsets) == 64 &&
                   offsetof(litert_context, preview_partitioning) == 152,
               "TfLiteContext");
_Static_assert(sizeof(litert_delegate) == 56, "TfLiteDelegate");
#endif

#endif
