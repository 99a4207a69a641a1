/* Four chains of NBC units, one per sub-band, that run as one trunk. */
#ifndef BNNPAN_LITERT_GROUP_H
#define BNNPAN_LITERT_GROUP_H

#include "../../engine/model.h"
#include "unit.h"

typedef struct litert_group {
    int32_t blocks;
    /* (blocks, sub-bands) in the order of the library, LL first */
    const litert_unit *unit[BNNPAN_MAX_BLOCKS][BNNPAN_SUB_BANDS];
} litert_group;

typedef struct litert_groups {
    litert_unit *units;
    litert_group *group;
    int32_t count;
} litert_groups;

/* False when memory is short; close it in any case. */
bool litert_groups_open(litert_groups *groups, const litert_graph *graph);
void litert_groups_close(litert_groups *groups);

#endif
