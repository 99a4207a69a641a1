/* Finds the whole network around a group of units: head, Haar transform, group, inverse transform, tail. */
#ifndef BNNPAN_LITERT_NETWORK_H
#define BNNPAN_LITERT_NETWORK_H

#include "blocks.h"

/* Places of a network's ends and constants. */
enum {
    NETWORK_LMS = 1,
    NETWORK_PAN,
    NETWORK_HRMS,
    NETWORK_HEAD_WEIGHT, /* (C, 3, 3, bands + 1) */
    NETWORK_HEAD_BIAS,   /* (C) */
    NETWORK_TAIL_WEIGHT, /* (bands, 3, 3, C) */
    NETWORK_TAIL_BIAS,   /* (bands) */
    NETWORK_FIRST_INNER
};

typedef struct litert_network {
    litert_group group; /* its chains in the order of the sub-bands */
    pattern_match head, tail;
    int32_t bands;
} litert_network;

/* The network around a group; false when anything differs. */
bool litert_match_network(const litert_graph *graph, const litert_group *group, litert_network *network);

#endif
