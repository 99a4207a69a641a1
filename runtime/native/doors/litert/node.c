#include "node.h"

#include <stdlib.h>

#include "graph.h"

enum { LARGEST_RANK = 8 }; /* of what is packed and unpacked */

/* Places in the input list of LceBconv2d. */
enum { INPUT, FILTER, MULTIPLIER, BIAS, THRESHOLDS };

typedef struct lce_node {
    lce_operator operator;
    const litert_ints *inputs, *outputs; /* of the node that is replaced */
    bool has_options;
    lce_convolution convolution;
    uint32_t *memory; /* blocked filter, patch and mask */
} lce_node;

static void *open_node(litert_context *context, const char *buffer, size_t length) {
    const litert_partition *partition = (const litert_partition *)(const void *)buffer;
    litert_node *replaced;
    litert_registration *registration;
    (void)length;
    if (partition->nodes->size != 1) return NULL;
    if (context->get_node_and_registration(context, partition->nodes->data[0], &replaced, &registration) != LITERT_OK)
        return NULL;
    lce_node *node = calloc(1, sizeof *node);
    if (node == NULL) return NULL;
    node->operator = lce_operator_of(registration->custom_name);
    node->inputs = replaced->inputs;
    node->outputs = replaced->outputs;
    node->has_options = lce_read_options(replaced->custom_initial_data, (size_t)replaced->custom_initial_data_size,
                                         &node->convolution.options);
    return node;
}

static void close_node(litert_context *context, void *data) {
    lce_node *node = data;
    (void)context;
    if (node == NULL) return;
    free(node->memory);
    free(node);
}

static litert_status refuse(litert_context *context, const char *operator, const char *reason) {
    context->report_error(context, "bnnpan: %s: %s is not supported", operator, reason);
    return LITERT_ERROR;
}

static bool is_tensor(const litert_tensor *tensor, int32_t type, int32_t rank) {
    return tensor != NULL && tensor->type == type && tensor->dims->size == rank;
}

/* Elements but for the last axis. */
static size_t pixels_of(const litert_tensor *tensor) {
    size_t pixels = 1;
    for (int32_t i = 0; i + 1 < tensor->dims->size; i++) pixels *= (size_t)tensor->dims->data[i];
    return pixels;
}

/* Gives the output the shape of the input, with another last axis. */
static litert_status resize_like(litert_context *context, const litert_tensor *input, litert_tensor *output,
                                 int32_t last) {
    int32_t dims[LARGEST_RANK];
    const int32_t rank = input->dims->size;
    for (int32_t i = 0; i + 1 < rank; i++) dims[i] = input->dims->data[i];
    dims[rank - 1] = last;
    return litert_resize(context, output, rank, dims);
}

static litert_status prepare_packing(litert_context *context, const lce_node *node) {
    const bool packs = node->operator == LCE_QUANTIZE;
    const char *name = packs ? "LceQuantize" : "LceDequantize";
    const litert_tensor *input = litert_tensor_of(context, node->inputs, INPUT);
    litert_tensor *output = litert_tensor_of(context, node->outputs, 0);
    if (input == NULL || output == NULL || input->dims->size < 1 || input->dims->size > LARGEST_RANK)
        return refuse(context, name, "a rank other than 1 to 8");
    if (input->type != (packs ? LITERT_FLOAT32 : LITERT_INT32) ||
        output->type != (packs ? LITERT_INT32 : LITERT_FLOAT32))
        return refuse(context, name, "a type other than float32 and packed int32");
    if (packs) return resize_like(context, input, output, lce_words(litert_last_dim(input)));
    if (output->dims->size < 1 || lce_words(litert_last_dim(output)) != litert_last_dim(input))
        return refuse(context, name, "an output with another number of channels");
    return resize_like(context, input, output, litert_last_dim(output));
}

/* The tensors of the convolution: sizes and constants, or what is wrong with them. */
static const char *read_tensors(litert_context *context, lce_node *node, bool packed) {
    lce_convolution *convolution = &node->convolution;
    const litert_tensor *input = litert_tensor_of(context, node->inputs, INPUT);
    const litert_tensor *filter = litert_tensor_of(context, node->inputs, FILTER);
    const litert_tensor *multiplier = litert_tensor_of(context, node->inputs, MULTIPLIER);
    const litert_tensor *bias = litert_tensor_of(context, node->inputs, BIAS);
    const litert_tensor *thresholds = litert_tensor_of(context, node->inputs, THRESHOLDS);
    if (!is_tensor(input, LITERT_INT32, 4)) return "an input other than packed int32 of rank 4";
    if (!is_tensor(filter, LITERT_INT32, 4) || filter->allocation_type != LITERT_READ_ONLY || filter->data == NULL)
        return "a filter other than constant packed int32 of rank 4";
    const int32_t words = lce_words(convolution->options.channels_in);
    if (filter->dims->data[3] != words) return "a grouped convolution";
    if (litert_last_dim(input) != words) return "an input with another number of channels";
    convolution->batches = input->dims->data[0];
    convolution->rows = input->dims->data[1];
    convolution->cols = input->dims->data[2];
    convolution->channels_out = filter->dims->data[0];
    convolution->filter_rows = filter->dims->data[1];
    convolution->filter_cols = filter->dims->data[2];
    if (lce_patch_words(convolution) > LCE_MAX_PATCH_WORDS) return "a filter of more than 2^24 words";
    if (packed && !litert_is_constant(thresholds, LITERT_INT32, convolution->channels_out))
        return "packed output without constant thresholds";
    if (!packed && (!litert_is_constant(multiplier, LITERT_FLOAT32, convolution->channels_out) ||
                    !litert_is_constant(bias, LITERT_FLOAT32, convolution->channels_out)))
        return "a multiplier or bias other than constant float32, one per channel,";
    convolution->thresholds = packed ? thresholds->data : NULL;
    convolution->multiplier = packed ? NULL : multiplier->data;
    convolution->bias = packed ? NULL : bias->data;
    return NULL;
}

static litert_status allocate(litert_context *context, lce_node *node) {
    lce_convolution *convolution = &node->convolution;
    const size_t filter_words = lce_blocked_filter_words(convolution), patch_words = lce_patch_words(convolution);
    free(node->memory);
    node->memory = malloc((filter_words + 2 * patch_words + 1) * sizeof *node->memory);
    if (node->memory == NULL) return refuse(context, "LceBconv2d", "a filter larger than the memory");
    lce_block_filter(convolution, litert_tensor_of(context, node->inputs, FILTER)->data, node->memory);
    convolution->blocked_filter = node->memory;
    convolution->patch = node->memory + filter_words;
    convolution->mask = convolution->patch + patch_words;
    return LITERT_OK;
}

static litert_status prepare_convolution(litert_context *context, lce_node *node) {
    const char *name = "LceBconv2d";
    lce_convolution *convolution = &node->convolution;
    litert_tensor *output = litert_tensor_of(context, node->outputs, 0);
    if (output == NULL || (output->type != LITERT_FLOAT32 && output->type != LITERT_INT32))
        return refuse(context, name, "an output other than float32 and packed int32");
    const bool packed = output->type == LITERT_INT32;
    if (!node->has_options) return refuse(context, name, "a node without its options");
    const char *reason = lce_unsupported(&convolution->options, packed);
    if (reason == NULL) reason = read_tensors(context, node, packed);
    if (reason == NULL && !lce_size_output(convolution)) reason = "an input smaller than the filter";
    if (reason != NULL) return refuse(context, name, reason);
    if (allocate(context, node) != LITERT_OK) return LITERT_ERROR;
    const int32_t last = packed ? lce_words(convolution->channels_out) : convolution->channels_out;
    const int32_t dims[] = {convolution->batches, convolution->out_rows, convolution->out_cols, last};
    return litert_resize(context, output, 4, dims);
}

static litert_status prepare_node(litert_context *context, litert_node *replacement) {
    lce_node *node = replacement->user_data;
    if (node == NULL) return refuse(context, "an operator", "a node that could not be read");
    return node->operator == LCE_BCONV ? prepare_convolution(context, node) : prepare_packing(context, node);
}

static litert_status run_node(litert_context *context, litert_node *replacement) {
    const lce_node *node = replacement->user_data;
    const litert_tensor *input = litert_tensor_of(context, node->inputs, INPUT);
    const litert_tensor *output = litert_tensor_of(context, node->outputs, 0);
    if (node->operator == LCE_QUANTIZE) {
        lce_quantize(input->data, output->data, pixels_of(input), litert_last_dim(input));
    } else if (node->operator == LCE_DEQUANTIZE) {
        lce_dequantize(input->data, output->data, pixels_of(output), litert_last_dim(output));
    } else {
        const bool packed = output->type == LITERT_INT32;
        lce_convolve(&node->convolution, input->data, packed ? NULL : output->data, packed ? output->data : NULL);
    }
    return LITERT_OK;
}

litert_registration litert_node_registration(void) {
    return (litert_registration){
        .init = open_node,
        .free = close_node,
        .prepare = prepare_node,
        .invoke = run_node,
        .custom_name = "BnnpanLce",
        .version = 1,
    };
}
