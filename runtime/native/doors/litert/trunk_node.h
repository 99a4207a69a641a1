/* A group of NBC units as one node of a runtime, run by the library's row wavefront. */
#ifndef BNNPAN_LITERT_TRUNK_NODE_H
#define BNNPAN_LITERT_TRUNK_NODE_H

#include "group.h"

typedef struct trunk_node trunk_node;

/* Reads the units' constants out of the graph; NULL when memory is short. */
trunk_node *litert_trunk_open(const litert_graph *graph, const litert_group *group, const bnnpan_kernels *kernels);
void litert_trunk_close(trunk_node *trunk);

/* Its nodes take over the trunk that the delegate's data points to, a trunk_node *, and leave NULL there. */
litert_registration litert_trunk_registration(void);

#endif
