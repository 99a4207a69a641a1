#include "pattern.h"

#include "../../kernels/kernels.h"

void litert_pattern_start(pattern_match *match, int32_t channels) {
    match->channels = channels;
    match->operations = 0;
    for (int32_t i = 0; i < PATTERN_PLACES; i++) match->tensor[i] = LITERT_NO_TENSOR;
}

static bool is_number(const litert_tensor *tensor, float number) {
    return litert_is_constant(tensor, LITERT_FLOAT32, 1) && *(const float *)tensor->data == number;
}

static bool is_last(int32_t axis) { return axis == -1 || axis == 3; }

/* Filters of 3x3 taps, constant, with that many outputs and values per tap; 0 means any number. */
static bool is_filter(const litert_tensor *tensor, int32_t type, int32_t outputs, int32_t per_tap) {
    if (tensor == NULL || tensor->type != type || tensor->allocation_type != LITERT_READ_ONLY ||
        tensor->data == NULL || tensor->dims->size != 4)
        return false;
    const int32_t *dims = tensor->dims->data;
    return dims[1] == 3 && dims[2] == 3 && (outputs == 0 || dims[0] == outputs) &&
           (per_tap == 0 || dims[3] == per_tap);
}

static bool are_signs(const litert_tensor *tensor, int32_t channels) {
    const int32_t words = lce_words(channels), unused = words * LCE_WORD_BITS - channels;
    if (!is_filter(tensor, LITERT_INT32, channels, words)) return false;
    const uint32_t *last = (const uint32_t *)tensor->data + words - 1;
    for (int32_t i = 0; i < channels * BNNPAN_TAPS; i++, last += words) /* unused bits must count nowhere */
        if (unused > 0 && *last >> (LCE_WORD_BITS - unused) != 0) return false;
    return true;
}

static bool is_activation(const litert_tensor *tensor, int32_t type) {
    return tensor != NULL && tensor->type == type && tensor->dims->size == 4 &&
           tensor->allocation_type != LITERT_READ_ONLY;
}

static bool is_kind(const litert_tensor *tensor, place_kind kind, int32_t channels) {
    switch (kind) {
    case PLACE_FLOAT: return is_activation(tensor, LITERT_FLOAT32);
    case PLACE_PACKED: return is_activation(tensor, LITERT_INT32);
    case PLACE_PER_CHANNEL: return litert_is_constant(tensor, LITERT_FLOAT32, channels);
    case PLACE_PER_BAND:
        return tensor != NULL && tensor->dims->size == 1 &&
               litert_is_constant(tensor, LITERT_FLOAT32, tensor->dims->data[0]);
    case PLACE_SIGNS: return are_signs(tensor, channels);
    case PLACE_HEAD_WEIGHT: return is_filter(tensor, LITERT_FLOAT32, channels, 0);
    case PLACE_TAIL_WEIGHT: return is_filter(tensor, LITERT_FLOAT32, 0, channels);
    case PLACE_LAST_AXIS:
        return litert_is_constant(tensor, LITERT_INT32, 1) && is_last(*(const int32_t *)tensor->data);
    case PLACE_HALF: return is_number(tensor, 0.5f);
    case PLACE_EPSILON: return is_number(tensor, BNNPAN_VARIANCE_EPSILON);
    }
    return false;
}

static bool is_our_binary_convolution(const litert_operation *operation, int32_t channels) {
    lce_options options;
    return lce_read_options(operation->custom_options, operation->custom_options_bytes, &options) &&
           options.channels_in == channels && options.stride_rows == 1 && options.stride_cols == 1 &&
           options.dilation_rows == 1 && options.dilation_cols == 1 && options.valid_padding == 0 &&
           options.pad_value == 0 && options.activation == LITERT_LINEAR;
}

static bool is_our_convolution(const litert_convolution_options *options) {
    return options->padding == LITERT_SAME_PADDING && options->stride_rows == 1 && options->stride_cols == 1 &&
           options->dilation_rows == 1 && options->dilation_cols == 1 && options->activation == LITERT_LINEAR;
}

static bool is_our_concatenation(const litert_concatenation_options *options) {
    return is_last(options->axis) && options->activation == LITERT_LINEAR;
}

bool litert_has_code(const litert_operation *operation, int32_t code, int32_t channels) {
    const void *options = operation->options;
    if (code == PATTERN_QUANTIZE) return operation->lce == LCE_QUANTIZE;
    if (code == PATTERN_BCONV) return operation->lce == LCE_BCONV && is_our_binary_convolution(operation, channels);
    if (operation->code != code) return false;
    if (code == LITERT_PRELU || code == LITERT_SQRT) return true;
    if (options == NULL) return false;
    switch (code) {
    case LITERT_ADD:
    case LITERT_SUB:
    case LITERT_MUL:
    case LITERT_DIV: return ((const litert_arithmetic_options *)options)->activation == LITERT_LINEAR;
    case LITERT_MEAN: return ((const litert_reducer_options *)options)->keep_dims;
    case LITERT_CONV_2D: return is_our_convolution(options);
    case LITERT_CONCATENATION: return is_our_concatenation(options);
    case LITERT_SPLIT: return ((const litert_count_options *)options)->count == 4;
    case LITERT_SPACE_TO_DEPTH:
    case LITERT_DEPTH_TO_SPACE: return ((const litert_count_options *)options)->count == 2;
    default: return false;
    }
}

static bool is_activation_kind(place_kind kind) { return kind == PLACE_FLOAT || kind == PLACE_PACKED; }

/* Whether a list of tensors can stand at a list of places: activations that are bound must be the same. */
static bool list_fits(const litert_graph *graph, const litert_ints *tensors, const int32_t *places, bool swapped,
                      const place_kind *kinds, const pattern_match *match) {
    int32_t count = 0;
    while (count < PATTERN_LIST && places[count] != 0) count++;
    if (tensors->size < count) return false;
    for (int32_t i = count; i < tensors->size; i++)
        if (tensors->data[i] != LITERT_NO_TENSOR) return false;
    for (int32_t i = 0; i < count; i++) {
        const int32_t place = places[swapped ? 1 - i : i], bound = match->tensor[place];
        if (!is_kind(litert_tensor_of(graph->context, tensors, i), kinds[place], match->channels)) return false;
        if (is_activation_kind(kinds[place]) && bound != LITERT_NO_TENSOR && bound != tensors->data[i]) return false;
    }
    return true;
}

static void bind_list(const litert_ints *tensors, const int32_t *places, bool swapped, pattern_match *match) {
    for (int32_t i = 0; i < PATTERN_LIST && places[i] != 0; i++)
        match->tensor[places[swapped ? 1 - i : i]] = tensors->data[i];
}

static bool match_operation(const litert_graph *graph, const pattern_step *step, int32_t position,
                            const place_kind *kinds, pattern_match *match) {
    const litert_operation *operation = &graph->operations[position];
    const bool commutes = step->code == LITERT_ADD || step->code == LITERT_MUL;
    if (match->operations == PATTERN_STEPS || !litert_has_code(operation, step->code, match->channels) ||
        !list_fits(graph, operation->outputs, step->outputs, false, kinds, match))
        return false;
    const bool straight = list_fits(graph, operation->inputs, step->inputs, false, kinds, match);
    if (!straight && !(commutes && list_fits(graph, operation->inputs, step->inputs, true, kinds, match)))
        return false;
    bind_list(operation->inputs, step->inputs, !straight, match);
    bind_list(operation->outputs, step->outputs, false, match);
    match->operation[match->operations++] = position;
    return true;
}

/* The first tensor of a list of places that is bound. */
static int32_t bound_tensor(const int32_t *places, const place_kind *kinds, const pattern_match *match) {
    for (int32_t i = 0; i < PATTERN_LIST && places[i] != 0; i++)
        if (is_activation_kind(kinds[places[i]]) && match->tensor[places[i]] != LITERT_NO_TENSOR)
            return match->tensor[places[i]];
    return LITERT_NO_TENSOR;
}

static bool match_step(const litert_graph *graph, const pattern_step *step, const place_kind *kinds,
                       pattern_match *match) {
    const int32_t output = bound_tensor(step->outputs, kinds, match);
    if (output != LITERT_NO_TENSOR)
        return graph->producer[output] != LITERT_NOWHERE &&
               match_operation(graph, step, graph->producer[output], kinds, match);
    const int32_t input = bound_tensor(step->inputs, kinds, match);
    if (input == LITERT_NO_TENSOR) return false;
    for (int32_t i = graph->first_consumer[input]; i < graph->first_consumer[input + 1]; i++)
        if (match_operation(graph, step, graph->consumers[i], kinds, match)) return true;
    return false;
}

bool litert_pattern_follow(const litert_graph *graph, const pattern_step *steps, int32_t count,
                           const place_kind *kinds, pattern_match *match) {
    for (int32_t i = 0; i < count; i++)
        if (!match_step(graph, &steps[i], kinds, match)) return false;
    return true;
}
