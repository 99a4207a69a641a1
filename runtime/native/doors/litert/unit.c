#include "unit.h"

#include "../../engine/model.h"

/* Of the normalisation, as everywhere in this library (kernels/nbc.c). */
static const float VARIANCE_EPSILON = 1e-6f;

/* No further input; codes of steps besides those of builtin operators. */
enum { NONE = -1, QUANTIZE = -2, BCONV = -3 };

/* One operation of the pattern. Each is found from a tensor that an earlier one has bound: its output where that is
 * bound, else its first input. */
static const struct step {
    int32_t code;
    int32_t inputs[4];
    int32_t output;
} STEPS[] = {
    {BCONV, {UNIT_SIGNS, UNIT_FILTER, UNIT_SCALE, UNIT_MINUS_GAMMA}, UNIT_CONVOLVED},
    {QUANTIZE, {UNIT_SHIFTED, NONE, NONE, NONE}, UNIT_SIGNS},
    {LITERT_ADD, {UNIT_INPUT, UNIT_SHIFT, NONE, NONE}, UNIT_SHIFTED},
    {LITERT_PRELU, {UNIT_CONVOLVED, UNIT_BETA, NONE, NONE}, UNIT_RECTIFIED},
    {LITERT_ADD, {UNIT_RECTIFIED, UNIT_ZETA, NONE, NONE}, UNIT_BRANCH},
    {LITERT_MEAN, {UNIT_BRANCH, UNIT_AXIS, NONE, NONE}, UNIT_BRANCH_MEAN},
    {LITERT_SUB, {UNIT_BRANCH, UNIT_BRANCH_MEAN, NONE, NONE}, UNIT_BRANCH_CENTRED},
    {LITERT_MUL, {UNIT_BRANCH_CENTRED, UNIT_BRANCH_CENTRED, NONE, NONE}, UNIT_BRANCH_SQUARE},
    {LITERT_MEAN, {UNIT_BRANCH_SQUARE, UNIT_AXIS, NONE, NONE}, UNIT_BRANCH_VARIANCE},
    {LITERT_ADD, {UNIT_BRANCH_VARIANCE, UNIT_EPSILON, NONE, NONE}, UNIT_BRANCH_ABOVE},
    {LITERT_SUB, {UNIT_BRANCH_CENTRED, UNIT_PHI, NONE, NONE}, UNIT_BRANCH_MOVED},
    {LITERT_MEAN, {UNIT_INPUT, UNIT_AXIS, NONE, NONE}, UNIT_INPUT_MEAN},
    {LITERT_SUB, {UNIT_INPUT, UNIT_INPUT_MEAN, NONE, NONE}, UNIT_INPUT_CENTRED},
    {LITERT_MUL, {UNIT_INPUT_CENTRED, UNIT_INPUT_CENTRED, NONE, NONE}, UNIT_INPUT_SQUARE},
    {LITERT_MEAN, {UNIT_INPUT_SQUARE, UNIT_AXIS, NONE, NONE}, UNIT_INPUT_VARIANCE},
    {LITERT_ADD, {UNIT_INPUT_VARIANCE, UNIT_EPSILON, NONE, NONE}, UNIT_INPUT_ABOVE},
    {LITERT_DIV, {UNIT_INPUT_ABOVE, UNIT_BRANCH_ABOVE, NONE, NONE}, UNIT_RATIO},
    {LITERT_SQRT, {UNIT_RATIO, NONE, NONE, NONE}, UNIT_GAIN},
    {LITERT_MUL, {UNIT_GAIN, UNIT_BRANCH_MOVED, NONE, NONE}, UNIT_NORMALISED},
    {LITERT_MUL, {UNIT_NORMALISED, UNIT_INVERSE_LAMBDA, NONE, NONE}, UNIT_WEIGHTED},
    {LITERT_ADD, {UNIT_WEIGHTED, UNIT_INPUT_MEAN, NONE, NONE}, UNIT_RAISED},
    {LITERT_ADD, {UNIT_RAISED, UNIT_ETA, NONE, NONE}, UNIT_ADDED},
    {LITERT_ADD, {UNIT_INPUT, UNIT_ADDED, NONE, NONE}, UNIT_OUTPUT},
};
_Static_assert(sizeof STEPS / sizeof STEPS[0] == UNIT_STEPS, "every step is one operation");

static const litert_tensor *tensor_at(const litert_graph *graph, int32_t tensor) {
    return tensor >= 0 && tensor < graph->tensors ? &graph->context->tensors[tensor] : NULL;
}

static bool is_channel_vector(const litert_tensor *tensor, int32_t channels) {
    return tensor != NULL && tensor->type == LITERT_FLOAT32 && tensor->dims->size == 1 &&
           tensor->dims->data[0] == channels;
}

/* Float, channels last, its values made while the graph runs. */
static bool is_activation(const litert_tensor *tensor) {
    return tensor != NULL && tensor->dims->size == 4 && tensor->allocation_type != LITERT_READ_ONLY;
}

static bool is_last_axis(const litert_tensor *tensor) {
    if (!litert_is_constant(tensor, LITERT_INT32, 1)) return false;
    const int32_t axis = *(const int32_t *)tensor->data;
    return axis == -1 || axis == 3;
}

static bool is_epsilon(const litert_tensor *tensor) {
    return litert_is_constant(tensor, LITERT_FLOAT32, 1) && *(const float *)tensor->data == VARIANCE_EPSILON;
}

static bool is_filter(const litert_tensor *tensor, int32_t channels) {
    if (tensor == NULL || tensor->type != LITERT_INT32 || tensor->allocation_type != LITERT_READ_ONLY ||
        tensor->data == NULL || tensor->dims->size != 4)
        return false;
    const int32_t *dims = tensor->dims->data, words = lce_words(channels), unused = words * LCE_WORD_BITS - channels;
    if (dims[0] != channels || dims[1] != 3 || dims[2] != 3 || dims[3] != words) return false;
    const uint32_t *last = (const uint32_t *)tensor->data + words - 1;
    for (int32_t i = 0; i < channels * 9; i++, last += words) /* unused bits must count nowhere */
        if (unused > 0 && *last >> (LCE_WORD_BITS - unused) != 0) return false;
    return true;
}

/* Whether a tensor can stand at a place of the pattern. */
static bool fits(const litert_graph *graph, const litert_unit *unit, int32_t place, int32_t tensor) {
    const litert_tensor *found = tensor_at(graph, tensor);
    if (place == UNIT_AXIS) return is_last_axis(found);
    if (place == UNIT_EPSILON) return is_epsilon(found);
    if (place == UNIT_FILTER) return is_filter(found, unit->channels);
    if (place >= UNIT_SHIFT && place <= UNIT_ETA) return litert_is_constant(found, LITERT_FLOAT32, unit->channels);
    if (unit->tensor[place] != LITERT_NO_TENSOR) return unit->tensor[place] == tensor;
    return is_activation(found) && found->type == (place == UNIT_SIGNS ? LITERT_INT32 : LITERT_FLOAT32);
}

static bool is_linear(const litert_operation *operation) {
    return operation->options != NULL &&
           ((const litert_arithmetic_options *)operation->options)->activation == LITERT_LINEAR;
}

static bool is_our_convolution(const litert_operation *operation, int32_t channels) {
    lce_options o;
    return lce_read_options(operation->custom_options, operation->custom_options_bytes, &o) &&
           o.channels_in == channels && o.stride_rows == 1 && o.stride_cols == 1 && o.dilation_rows == 1 &&
           o.dilation_cols == 1 && o.valid_padding == 0 && o.pad_value == 0 && o.activation == LITERT_LINEAR;
}

static bool has_code(const litert_operation *operation, int32_t code, int32_t channels) {
    switch (code) {
    case QUANTIZE: return operation->lce == LCE_QUANTIZE;
    case BCONV: return operation->lce == LCE_BCONV && is_our_convolution(operation, channels);
    case LITERT_ADD:
    case LITERT_SUB:
    case LITERT_MUL:
    case LITERT_DIV: return operation->code == code && is_linear(operation);
    case LITERT_MEAN:
        return operation->code == code && operation->options != NULL &&
               ((const litert_reducer_options *)operation->options)->keep_dims;
    default: return operation->code == code;
    }
}

/* Whether inputs and output can stand where the step has them; binds them if so. */
static bool bind_step(const litert_graph *graph, const struct step *step, const litert_operation *operation,
                      bool swapped, litert_unit *unit) {
    const litert_ints *inputs = operation->inputs;
    int32_t count = 0;
    while (count < 4 && step->inputs[count] != NONE) count++;
    for (int32_t i = count; i < inputs->size; i++)
        if (inputs->data[i] != LITERT_NO_TENSOR) return false;
    if (inputs->size < count || operation->outputs->size != 1) return false;
    for (int32_t i = 0; i < count; i++)
        if (!fits(graph, unit, step->inputs[swapped ? 1 - i : i], inputs->data[i])) return false;
    if (!fits(graph, unit, step->output, operation->outputs->data[0])) return false;
    for (int32_t i = 0; i < count; i++) unit->tensor[step->inputs[swapped ? 1 - i : i]] = inputs->data[i];
    unit->tensor[step->output] = operation->outputs->data[0];
    return true;
}

static bool match_operation(const litert_graph *graph, const struct step *step, int32_t position, litert_unit *unit) {
    const litert_operation *operation = &graph->operations[position];
    const bool commutes = step->code == LITERT_ADD || step->code == LITERT_MUL;
    if (!has_code(operation, step->code, unit->channels)) return false;
    if (!bind_step(graph, step, operation, false, unit) &&
        !(commutes && bind_step(graph, step, operation, true, unit)))
        return false;
    unit->operation[unit->operations++] = position;
    return true;
}

static bool match_step(const litert_graph *graph, const struct step *step, litert_unit *unit) {
    const int32_t output = unit->tensor[step->output];
    if (output != LITERT_NO_TENSOR)
        return graph->producer[output] != LITERT_NOWHERE && match_operation(graph, step, graph->producer[output], unit);
    const int32_t input = unit->tensor[step->inputs[0]];
    for (int32_t i = graph->first_consumer[input]; i < graph->first_consumer[input + 1]; i++)
        if (match_operation(graph, step, graph->consumers[i], unit)) return true;
    return false;
}

/* The other input of the only consumer of the unit's output, where that is such an operation; its output becomes the
 * unit's. */
static int32_t follow(const litert_graph *graph, int32_t code, litert_unit *unit) {
    const int32_t output = unit->tensor[UNIT_OUTPUT];
    const litert_operation *next = litert_only_consumer(graph, output);
    if (next == NULL || !has_code(next, code, unit->channels) || next->inputs->size != 2 || next->outputs->size != 1)
        return LITERT_NO_TENSOR;
    const int32_t *inputs = next->inputs->data, other = inputs[0] == output ? inputs[1] : inputs[0];
    const bool skips = code == LITERT_ADD && other == unit->tensor[UNIT_INPUT];
    const litert_tensor *tensor = tensor_at(graph, other);
    const bool scales = is_channel_vector(tensor, unit->channels) && tensor->allocation_type != LITERT_READ_ONLY;
    if (!skips && !scales) return LITERT_NO_TENSOR;
    unit->operation[unit->operations++] = (int32_t)(next - graph->operations);
    unit->tensor[UNIT_OUTPUT] = next->outputs->data[0];
    return other;
}

/* What may stand behind a unit: skip, gain, offset. An addition without a gain before it can only be the skip. */
static bool match_affine(const litert_graph *graph, litert_unit *unit) {
    unit->gain = follow(graph, LITERT_MUL, unit);
    if (unit->gain == LITERT_NO_TENSOR) {
        const int32_t added = follow(graph, LITERT_ADD, unit);
        if (added != LITERT_NO_TENSOR && added != unit->tensor[UNIT_INPUT]) return false;
        unit->outer_skip = added != LITERT_NO_TENSOR;
        unit->gain = unit->outer_skip ? follow(graph, LITERT_MUL, unit) : LITERT_NO_TENSOR;
    }
    unit->offset = unit->gain == LITERT_NO_TENSOR ? LITERT_NO_TENSOR : follow(graph, LITERT_ADD, unit);
    return unit->offset != unit->tensor[UNIT_INPUT];
}

bool litert_match_unit(const litert_graph *graph, int32_t position, litert_unit *unit) {
    const litert_operation *convolution = &graph->operations[position];
    const litert_tensor *filter = litert_tensor_of(graph->context, convolution->inputs, 1);
    if (convolution->lce != LCE_BCONV || filter == NULL || filter->dims->size != 4) return false;
    *unit = (litert_unit){.channels = filter->dims->data[0]};
    if (unit->channels < 1 || unit->channels > BNNPAN_MAX_CHANNELS) return false;
    for (int32_t i = 0; i < UNIT_TENSORS; i++) unit->tensor[i] = LITERT_NO_TENSOR;
    if (!match_operation(graph, &STEPS[0], position, unit)) return false;
    for (int32_t i = 1; i < UNIT_STEPS; i++)
        if (!match_step(graph, &STEPS[i], unit)) return false;
    const litert_ints *dims = tensor_at(graph, unit->tensor[UNIT_INPUT])->dims;
    return dims->data[3] == unit->channels && match_affine(graph, unit);
}
