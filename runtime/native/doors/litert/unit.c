#include "unit.h"

#include "../../engine/model.h"

/* Activations in between, and the output before skip and affine. */
enum {
    SHIFTED = UNIT_FIRST_INNER,
    SIGNS,
    CONVOLVED,
    RECTIFIED,
    BRANCH,
    BRANCH_MEAN,
    BRANCH_CENTRED,
    BRANCH_SQUARE,
    BRANCH_VARIANCE,
    BRANCH_ABOVE,
    BRANCH_MOVED,
    INPUT_MEAN,
    INPUT_CENTRED,
    INPUT_SQUARE,
    INPUT_VARIANCE,
    INPUT_ABOVE,
    RATIO,
    GAIN,
    NORMALISED,
    WEIGHTED,
    RAISED,
    ADDED,
    OUTPUT,
    AXIS,
    EPSILON,
    PLACES
};
_Static_assert((int)PLACES <= (int)PATTERN_PLACES, "room for every place");

static const place_kind KINDS[PLACES] = {
    [UNIT_SHIFT] = PLACE_PER_CHANNEL, [UNIT_SCALE] = PLACE_PER_CHANNEL, [UNIT_MINUS_GAMMA] = PLACE_PER_CHANNEL,
    [UNIT_BETA] = PLACE_PER_CHANNEL,  [UNIT_ZETA] = PLACE_PER_CHANNEL,  [UNIT_PHI] = PLACE_PER_CHANNEL,
    [UNIT_INVERSE_LAMBDA] = PLACE_PER_CHANNEL, [UNIT_ETA] = PLACE_PER_CHANNEL, [UNIT_FILTER] = PLACE_SIGNS,
    [SIGNS] = PLACE_PACKED, [AXIS] = PLACE_LAST_AXIS, [EPSILON] = PLACE_EPSILON,
};

static const pattern_step STEPS[] = {
    {PATTERN_BCONV, {SIGNS, UNIT_FILTER, UNIT_SCALE, UNIT_MINUS_GAMMA}, {CONVOLVED}},
    {PATTERN_QUANTIZE, {SHIFTED}, {SIGNS}},
    {LITERT_ADD, {UNIT_INPUT, UNIT_SHIFT}, {SHIFTED}},
    {LITERT_PRELU, {CONVOLVED, UNIT_BETA}, {RECTIFIED}},
    {LITERT_ADD, {RECTIFIED, UNIT_ZETA}, {BRANCH}},
    {LITERT_MEAN, {BRANCH, AXIS}, {BRANCH_MEAN}},
    {LITERT_SUB, {BRANCH, BRANCH_MEAN}, {BRANCH_CENTRED}},
    {LITERT_MUL, {BRANCH_CENTRED, BRANCH_CENTRED}, {BRANCH_SQUARE}},
    {LITERT_MEAN, {BRANCH_SQUARE, AXIS}, {BRANCH_VARIANCE}},
    {LITERT_ADD, {BRANCH_VARIANCE, EPSILON}, {BRANCH_ABOVE}},
    {LITERT_SUB, {BRANCH_CENTRED, UNIT_PHI}, {BRANCH_MOVED}},
    {LITERT_MEAN, {UNIT_INPUT, AXIS}, {INPUT_MEAN}},
    {LITERT_SUB, {UNIT_INPUT, INPUT_MEAN}, {INPUT_CENTRED}},
    {LITERT_MUL, {INPUT_CENTRED, INPUT_CENTRED}, {INPUT_SQUARE}},
    {LITERT_MEAN, {INPUT_SQUARE, AXIS}, {INPUT_VARIANCE}},
    {LITERT_ADD, {INPUT_VARIANCE, EPSILON}, {INPUT_ABOVE}},
    {LITERT_DIV, {INPUT_ABOVE, BRANCH_ABOVE}, {RATIO}},
    {LITERT_SQRT, {RATIO}, {GAIN}},
    {LITERT_MUL, {GAIN, BRANCH_MOVED}, {NORMALISED}},
    {LITERT_MUL, {NORMALISED, UNIT_INVERSE_LAMBDA}, {WEIGHTED}},
    {LITERT_ADD, {WEIGHTED, INPUT_MEAN}, {RAISED}},
    {LITERT_ADD, {RAISED, UNIT_ETA}, {ADDED}},
    {LITERT_ADD, {UNIT_INPUT, ADDED}, {OUTPUT}},
};
enum { STEP_COUNT = sizeof STEPS / sizeof STEPS[0] };
_Static_assert((int)STEP_COUNT + 3 <= (int)PATTERN_STEPS, "room for every step, skip, gain and offset");

/* The unit's input, or one value per channel made while the graph runs. */
static bool can_follow(const litert_graph *graph, const litert_unit *unit, int32_t code, int32_t tensor) {
    if (tensor < 0 || tensor >= graph->tensors) return false;
    if (tensor == unit->input) return code == LITERT_ADD;
    const litert_tensor *vector = &graph->context->tensors[tensor];
    return vector->type == LITERT_FLOAT32 && vector->dims->size == 1 && vector->dims->data[0] == unit->match.channels &&
           vector->allocation_type != LITERT_READ_ONLY;
}

/* Where the output's only consumer adds to it, or multiplies it with, what can follow: makes that operation part of
 * the unit and returns the other tensor. */
static int32_t follow(const litert_graph *graph, int32_t code, litert_unit *unit) {
    const litert_operation *next = litert_only_consumer(graph, unit->output);
    if (next == NULL || !litert_has_code(next, code, unit->match.channels) || next->inputs->size != 2 ||
        next->outputs->size != 1)
        return LITERT_NO_TENSOR;
    const litert_tensor *output = litert_tensor_of(graph->context, next->outputs, 0);
    if (output == NULL || output->type != LITERT_FLOAT32 || output->dims->size != 4) return LITERT_NO_TENSOR;
    const int32_t *inputs = next->inputs->data, other = inputs[0] == unit->output ? inputs[1] : inputs[0];
    if (!can_follow(graph, unit, code, other)) return LITERT_NO_TENSOR;
    unit->match.operation[unit->match.operations++] = (int32_t)(next - graph->operations);
    unit->output = next->outputs->data[0];
    return other;
}

/* What may stand behind a unit: skip, gain, offset. Without a gain, only the skip can be added. */
static bool match_affine(const litert_graph *graph, litert_unit *unit) {
    unit->gain = follow(graph, LITERT_MUL, unit);
    if (unit->gain == LITERT_NO_TENSOR) {
        const int32_t added = follow(graph, LITERT_ADD, unit);
        if (added != LITERT_NO_TENSOR && added != unit->input) return false;
        unit->outer_skip = added != LITERT_NO_TENSOR;
        unit->gain = unit->outer_skip ? follow(graph, LITERT_MUL, unit) : LITERT_NO_TENSOR;
    }
    unit->offset = unit->gain == LITERT_NO_TENSOR ? LITERT_NO_TENSOR : follow(graph, LITERT_ADD, unit);
    return unit->offset != unit->input;
}

bool litert_match_unit(const litert_graph *graph, int32_t position, litert_unit *unit) {
    const litert_operation *convolution = &graph->operations[position];
    const litert_tensor *filter = litert_tensor_of(graph->context, convolution->inputs, 1);
    if (convolution->lce != LCE_BCONV || filter == NULL || filter->dims->size != 4) return false;
    const int32_t channels = filter->dims->data[0];
    if (channels < 1 || channels > BNNPAN_MAX_CHANNELS || convolution->outputs->size != 1) return false;
    *unit = (litert_unit){.gain = LITERT_NO_TENSOR, .offset = LITERT_NO_TENSOR};
    litert_pattern_start(&unit->match, channels);
    unit->match.tensor[CONVOLVED] = convolution->outputs->data[0];
    if (!litert_pattern_follow(graph, STEPS, STEP_COUNT, KINDS, &unit->match)) return false;
    unit->input = unit->match.tensor[UNIT_INPUT];
    unit->output = unit->match.tensor[OUTPUT];
    return graph->context->tensors[unit->input].dims->data[3] == channels && match_affine(graph, unit);
}
