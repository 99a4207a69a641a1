#include "network.h"

/* Activations in between; SUB_BAND is the first of four. */
enum {
    JOINED = NETWORK_FIRST_INNER,
    FEATURES,
    DEEP,
    CELL_A,
    CELL_B,
    CELL_C,
    CELL_D,
    TOP,
    BOTTOM,
    TOP_STEP,
    BOTTOM_STEP,
    SUM_LL,
    SUM_LH,
    SUM_HL,
    SUM_HH,
    SUB_BAND,
    SUB_BAND_LAST = SUB_BAND + 3,
    DETAIL,
    AXIS,
    HALF,
    PLACES
};
_Static_assert((int)PLACES <= (int)PATTERN_PLACES, "room for every place");

static const place_kind KINDS[PLACES] = {
    [NETWORK_HEAD_WEIGHT] = PLACE_HEAD_WEIGHT, [NETWORK_HEAD_BIAS] = PLACE_PER_CHANNEL,
    [NETWORK_TAIL_WEIGHT] = PLACE_TAIL_WEIGHT, [NETWORK_TAIL_BIAS] = PLACE_PER_BAND,
    [AXIS] = PLACE_LAST_AXIS,                  [HALF] = PLACE_HALF,
};

/* Backwards from LL, then forwards to the other sub-bands. */
static const pattern_step HEAD[] = {
    {LITERT_SPACE_TO_DEPTH, {FEATURES}, {DEEP}},
    {LITERT_SPLIT, {AXIS, DEEP}, {CELL_A, CELL_B, CELL_C, CELL_D}},
    {LITERT_CONV_2D, {JOINED, NETWORK_HEAD_WEIGHT, NETWORK_HEAD_BIAS}, {FEATURES}},
    {LITERT_CONCATENATION, {NETWORK_LMS, NETWORK_PAN}, {JOINED}},
    {LITERT_ADD, {CELL_A, CELL_B}, {TOP}},
    {LITERT_ADD, {CELL_C, CELL_D}, {BOTTOM}},
    {LITERT_SUB, {CELL_A, CELL_B}, {TOP_STEP}},
    {LITERT_SUB, {CELL_C, CELL_D}, {BOTTOM_STEP}},
    {LITERT_ADD, {TOP, BOTTOM}, {SUM_LL}},
    {LITERT_SUB, {TOP, BOTTOM}, {SUM_LH}},
    {LITERT_ADD, {TOP_STEP, BOTTOM_STEP}, {SUM_HL}},
    {LITERT_SUB, {TOP_STEP, BOTTOM_STEP}, {SUM_HH}},
    {LITERT_MUL, {SUM_LL, HALF}, {SUB_BAND}},
    {LITERT_MUL, {SUM_LH, HALF}, {SUB_BAND + 1}},
    {LITERT_MUL, {SUM_HL, HALF}, {SUB_BAND + 2}},
    {LITERT_MUL, {SUM_HH, HALF}, {SUB_BAND + 3}},
};

static const pattern_step TAIL[] = {
    {LITERT_MUL, {SUB_BAND, HALF}, {SUM_LL}},
    {LITERT_MUL, {SUB_BAND + 1, HALF}, {SUM_LH}},
    {LITERT_MUL, {SUB_BAND + 2, HALF}, {SUM_HL}},
    {LITERT_MUL, {SUB_BAND + 3, HALF}, {SUM_HH}},
    {LITERT_ADD, {SUM_LL, SUM_LH}, {TOP}},
    {LITERT_SUB, {SUM_LL, SUM_LH}, {BOTTOM}},
    {LITERT_ADD, {SUM_HL, SUM_HH}, {TOP_STEP}},
    {LITERT_SUB, {SUM_HL, SUM_HH}, {BOTTOM_STEP}},
    {LITERT_ADD, {TOP, TOP_STEP}, {CELL_A}},
    {LITERT_SUB, {TOP, TOP_STEP}, {CELL_B}},
    {LITERT_ADD, {BOTTOM, BOTTOM_STEP}, {CELL_C}},
    {LITERT_SUB, {BOTTOM, BOTTOM_STEP}, {CELL_D}},
    {LITERT_CONCATENATION, {CELL_A, CELL_B, CELL_C, CELL_D}, {DEEP}},
    {LITERT_DEPTH_TO_SPACE, {DEEP}, {FEATURES}},
    {LITERT_CONV_2D, {FEATURES, NETWORK_TAIL_WEIGHT, NETWORK_TAIL_BIAS}, {DETAIL}},
    {LITERT_ADD, {DETAIL, NETWORK_LMS}, {NETWORK_HRMS}},
};

/* The operation that a tensor's values come from, so many operations back along first inputs. */
static int32_t origin(const litert_graph *graph, int32_t tensor, int32_t steps) {
    for (; steps > 0; steps--) {
        const int32_t position = graph->producer[tensor];
        if (position == LITERT_NOWHERE || graph->operations[position].inputs->size == 0) return LITERT_NO_TENSOR;
        const litert_ints *inputs = graph->operations[position].inputs;
        tensor = inputs->data[graph->operations[position].code == LITERT_SPLIT ? inputs->size - 1 : 0];
        if (tensor < 0 || tensor >= graph->tensors) return LITERT_NO_TENSOR;
    }
    return tensor;
}

/* The chains in the order of the sub-bands that the head makes. */
static bool order_chains(const litert_group *group, const pattern_match *head, litert_group *ordered) {
    ordered->blocks = group->blocks;
    for (int32_t sub_band = 0; sub_band < BNNPAN_SUB_BANDS; sub_band++) {
        int32_t chain = 0;
        while (chain < BNNPAN_SUB_BANDS && group->unit[0][chain]->input != head->tensor[SUB_BAND + sub_band])
            chain++;
        if (chain == BNNPAN_SUB_BANDS) return false;
        for (int32_t block = 0; block < group->blocks; block++)
            ordered->unit[block][sub_band] = group->unit[block][chain];
    }
    return ordered->unit[0][0] == group->unit[0][0]; /* LL, which alone has offsets */
}

/* Bands are as many everywhere, and PAN is one. */
static bool sizes_agree(const litert_graph *graph, litert_network *network) {
    const litert_tensor *tensors = graph->context->tensors;
    const int32_t *head = network->head.tensor, *tail = network->tail.tensor;
    network->bands = litert_last_dim(&tensors[head[NETWORK_LMS]]);
    return network->bands >= 1 && network->bands <= BNNPAN_MAX_BANDS &&
           litert_last_dim(&tensors[head[NETWORK_PAN]]) == 1 &&
           litert_last_dim(&tensors[head[NETWORK_HEAD_WEIGHT]]) == network->bands + 1 &&
           tensors[tail[NETWORK_TAIL_WEIGHT]].dims->data[0] == network->bands &&
           litert_last_dim(&tensors[tail[NETWORK_TAIL_BIAS]]) == network->bands;
}

bool litert_match_network(const litert_graph *graph, const litert_group *group, litert_network *network) {
    const int32_t channels = group->unit[0][0]->match.channels;
    pattern_match *head = &network->head, *tail = &network->tail;
    /* LL is a product of a sum of a sum of a part of what came out of SPACE_TO_DEPTH. */
    const int32_t deep = origin(graph, group->unit[0][0]->input, 4);
    if (deep == LITERT_NO_TENSOR) return false;
    litert_pattern_start(head, channels);
    head->tensor[DEEP] = deep;
    if (!litert_pattern_follow(graph, HEAD, sizeof HEAD / sizeof HEAD[0], KINDS, head) ||
        !order_chains(group, head, &network->group))
        return false;
    litert_pattern_start(tail, channels);
    tail->tensor[NETWORK_LMS] = head->tensor[NETWORK_LMS];
    for (int32_t i = 0; i < BNNPAN_SUB_BANDS; i++)
        tail->tensor[SUB_BAND + i] = network->group.unit[group->blocks - 1][i]->output;
    return litert_pattern_follow(graph, TAIL, sizeof TAIL / sizeof TAIL[0], KINDS, tail) &&
           sizes_agree(graph, network);
}
