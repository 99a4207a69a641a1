#include "group.h"

#include <stdlib.h>
#include <string.h>

typedef struct chain {
    int32_t blocks;
    const litert_unit *unit[BNNPAN_MAX_BLOCKS];
    bool grouped;
} chain;

static const litert_unit *unit_behind(const litert_unit *units, int32_t count, const litert_unit *unit) {
    for (int32_t i = 0; i < count; i++)
        if (units[i].input == unit->output) return &units[i];
    return NULL;
}

static bool is_first(const litert_unit *units, int32_t count, const litert_unit *unit) {
    for (int32_t i = 0; i < count; i++)
        if (units[i].output == unit->input) return false;
    return true;
}

/* Units one behind the other, from one that stands behind no other. */
static chain follow_chain(const litert_unit *units, int32_t count, const litert_unit *first) {
    chain found = {.blocks = 0};
    for (const litert_unit *unit = first; unit != NULL && found.blocks < BNNPAN_MAX_BLOCKS;
         unit = unit_behind(units, count, unit))
        found.unit[found.blocks++] = unit;
    return found;
}

/* Whether two chains can be sub-bands of the same blocks. */
static bool belong_together(const litert_graph *graph, const chain *one, const chain *other) {
    const litert_tensor *tensors = graph->context->tensors;
    if (one->blocks != other->blocks ||
        !litert_same_dims(&tensors[one->unit[0]->input], &tensors[other->unit[0]->input]))
        return false;
    const int32_t channels = one->unit[0]->match.channels;
    for (int32_t i = 0; i < one->blocks; i++) {
        const litert_unit *a = one->unit[i], *b = other->unit[i];
        if (a->match.channels != channels || b->match.channels != channels || a->gain != b->gain ||
            a->outer_skip != one->unit[0]->outer_skip || a->outer_skip != b->outer_skip)
            return false;
    }
    return true;
}

/* Blocks of a chain that have an offset, which a constant per channel gives LL alone. */
static int32_t offsets_of(const chain *of) {
    int32_t count = 0;
    for (int32_t i = 0; i < of->blocks; i++) count += of->unit[i]->offset != LITERT_NO_TENSOR;
    return count;
}

static int32_t gains_of(const chain *of) {
    int32_t count = 0;
    for (int32_t i = 0; i < of->blocks; i++) count += of->unit[i]->gain != LITERT_NO_TENSOR;
    return count;
}

/* With gains: one chain, LL, has an offset in every block. Without: none has. */
static bool make_group(chain *const members[BNNPAN_SUB_BANDS], litert_group *group) {
    const int32_t blocks = members[0]->blocks, gains = gains_of(members[0]);
    int32_t low = 0, with_offsets = 0;
    if (gains != 0 && gains != blocks) return false;
    for (int32_t i = 0; i < BNNPAN_SUB_BANDS; i++) {
        const int32_t offsets = offsets_of(members[i]);
        if (offsets != 0 && offsets != blocks) return false;
        with_offsets += offsets != 0;
        low = offsets != 0 ? i : low;
    }
    if (with_offsets != (gains != 0)) return false;
    group->blocks = blocks;
    for (int32_t block = 0; block < blocks; block++)
        for (int32_t i = 0; i < BNNPAN_SUB_BANDS; i++)
            group->unit[block][i] = members[(low + i) % BNNPAN_SUB_BANDS]->unit[block];
    return true;
}

/* Each chain with the next three that belong to it: the exporter writes the sub-bands of a block side by side. */
static void group_chains(litert_groups *groups, const litert_graph *graph, chain *chains, int32_t count) {
    for (int32_t first = 0; first < count; first++) {
        chain *members[BNNPAN_SUB_BANDS];
        int32_t found = 0;
        for (int32_t i = first; i < count && found < BNNPAN_SUB_BANDS; i++)
            if (!chains[i].grouped && !chains[first].grouped && belong_together(graph, &chains[first], &chains[i]))
                members[found++] = &chains[i];
        if (found < BNNPAN_SUB_BANDS || !make_group(members, &groups->group[groups->count])) continue;
        for (int32_t i = 0; i < BNNPAN_SUB_BANDS; i++) members[i]->grouped = true;
        groups->count++;
    }
}

bool litert_groups_open(litert_groups *groups, const litert_graph *graph) {
    int32_t convolutions = 0, units = 0, count = 0;
    for (int32_t i = 0; i < graph->count; i++) convolutions += graph->operations[i].lce == LCE_BCONV;
    memset(groups, 0, sizeof *groups);
    groups->units = calloc((size_t)convolutions + 1, sizeof *groups->units);
    groups->group = calloc((size_t)convolutions / BNNPAN_SUB_BANDS + 1, sizeof *groups->group);
    chain *chains = calloc((size_t)convolutions + 1, sizeof *chains);
    const bool allocated = groups->units != NULL && groups->group != NULL && chains != NULL;
    if (allocated) {
        for (int32_t i = 0; i < graph->count; i++) units += litert_match_unit(graph, i, &groups->units[units]);
        for (int32_t i = 0; i < units; i++)
            if (is_first(groups->units, units, &groups->units[i]))
                chains[count++] = follow_chain(groups->units, units, &groups->units[i]);
        group_chains(groups, graph, chains, count);
    }
    free(chains);
    return allocated;
}

void litert_groups_close(litert_groups *groups) {
    free(groups->units);
    free(groups->group);
}
