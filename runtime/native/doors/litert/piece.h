/* Pieces of the graph that the library runs as one node. */
#ifndef BNNPAN_LITERT_PIECE_H
#define BNNPAN_LITERT_PIECE_H

#include "network.h"

/* How a piece gets into its node: the delegate's data points to one of these, which the node leaves empty. */
typedef struct litert_pending {
    void *piece;
    void (*close)(void *piece);
} litert_pending;

/* A group between its sub-bands, channels last. False when memory is short. */
bool litert_open_trunk(litert_pending *pending, const litert_graph *graph, const litert_group *group,
                       const bnnpan_kernels *kernels);
litert_registration litert_trunk_registration(void);

/* A whole network, from PAN and LMS to HRMS, channels last. False when memory is short. */
bool litert_open_network(litert_pending *pending, const litert_graph *graph, const litert_network *network,
                         const bnnpan_kernels *kernels);
litert_registration litert_network_registration(void);

/* `init` of either: takes the pending piece over. */
void *litert_take_over(litert_context *context, const char *buffer, size_t length);

#endif
