/* Custom operators for ONNX Runtime, version 1 of domain ai.bnnpan, as described in
 * export/bnnpan_export/onnx_functions.py. The bundles' graphs define them as functions of standard operators; a session
 * that knows these runs them instead. */
#include <stdlib.h>

#include "../../bnnpan.h"
#include "node.h"

static const char DOMAIN[] = "ai.bnnpan";

/* ONNX Runtime hands the first member back to every function of the operator. */
typedef struct formed_op {
    onnx_op op;
    onnx_form form;
} formed_op;

static const onnx_form *form_of(const onnx_op *op) { return &((const formed_op *)(const void *)op)->form; }

static const char *name_of(const onnx_op *op) { return form_of(op)->name; }

static size_t inputs_of(const onnx_op *op) { return form_of(op)->inputs; }

static const char *on_cpu(const onnx_op *op) {
    (void)op;
    return "CPUExecutionProvider";
}

static int input_type(const onnx_op *op, size_t index) {
    return index == form_of(op)->first_weight + ONNX_BITS ? ONNX_UINT8 : ONNX_FLOAT;
}

static int output_type(const onnx_op *op, size_t index) {
    (void)op;
    (void)index;
    return ONNX_FLOAT;
}

static size_t one_output(const onnx_op *op) {
    (void)op;
    return 1;
}

static int required(const onnx_op *op, size_t index) {
    (void)op;
    (void)index;
    return ONNX_REQUIRED;
}

static int in_default_memory(const onnx_op *op, size_t index) {
    (void)op;
    (void)index;
    return ONNX_DEFAULT_MEMORY;
}

static int not_variadic(const onnx_op *op) {
    (void)op;
    return 1;
}

static onnx_status *create(const onnx_op *op, const onnx_api *api, const onnx_kernel_info *info, void **kernel) {
    onnx_node *node = NULL;
    ONNX_TRY(onnx_node_create(form_of(op), api, info, &node));
    *kernel = node;
    return NULL;
}

static onnx_status *compute(void *kernel, onnx_context *context) { return onnx_node_compute(kernel, context); }

static void destroy(void *kernel) { onnx_node_destroy(kernel); }

#define OPERATOR                                                                                             \
    {                                                                                                        \
        .version = ONNX_API_VERSION, .name = name_of, .provider = on_cpu, .input_type = input_type,          \
        .inputs = inputs_of, .output_type = output_type, .outputs = one_output, .destroy = destroy,          \
        .input_characteristic = required, .output_characteristic = required,                                 \
        .input_memory = in_default_memory, .variadic_inputs_at_least = not_variadic,                         \
        .variadic_inputs_alike = not_variadic, .variadic_outputs_at_least = not_variadic,                    \
        .variadic_outputs_alike = not_variadic, .create = create, .compute = compute,                        \
    }

static const formed_op OPS[] = {
    /* pan, lms, affines, bits, parameters, head_weight, head_bias, tail_weight, tail_bias */
    {OPERATOR, {"Fuse", 9, 3, 6, 0, onnx_compute_window}},
    /* features, bits, parameters, affines */
    {OPERATOR, {"BinaryTrunk", 4, 1, 2, 0, onnx_compute_sub_bands}},
    /* sub_bands, bits, parameters */
    {OPERATOR, {"BinaryBlock", 3, 1, 2, 1, onnx_compute_sub_bands}},
};

enum { OP_COUNT = sizeof OPS / sizeof OPS[0] };

/* "1.31.1" to 31, the newest version of the table it has: asked for one it lacks, it prints a warning. What another
 * major version has is not known. */
static long newest_api(const char *version) {
    return version[0] == '1' && version[1] == '.' ? strtol(version + 2, NULL, 10) : 0;
}

BNNPAN_API onnx_status *RegisterCustomOps(onnx_options *options, const onnx_api_base *base);

/* ONNX Runtime looks for this name. It never frees the domain, which must outlive every session of the options: a few
 * hundred bytes for each registration. */
onnx_status *RegisterCustomOps(onnx_options *options, const onnx_api_base *base) {
    const onnx_api *api = newest_api(base->version()) >= ONNX_API_VERSION ? base->api(ONNX_API_VERSION) : NULL;
    onnx_domain *domain;
    if (api == NULL)
        return onnx_error(base->api(1), ONNX_FAIL, "libbnnpan needs ONNX Runtime 1.%d or a later 1.x, this is %s",
                          ONNX_API_VERSION, base->version());
    ONNX_TRY(api->create_domain(DOMAIN, &domain));
    for (size_t i = 0; i < OP_COUNT; i++) ONNX_TRY(api->add_op(domain, &OPS[i].op));
    return api->add_domain(options, domain);
}
