/* Pieces of the graph that the library runs as one node. */
#ifndef BNNPAN_LITERT_PIECE_H
#define BNNPAN_LITERT_PIECE_H

#include "network.h"

/* What every piece begins with. */
typedef struct litert_piece {
    litert_blocks blocks;
    float *weights; /* besides those of the blocks, or NULL */
    void *arena;    /* scratch for images of the present size */
} litert_piece;

/* A group between its sub-bands, channels last. NULL when memory is short. */
litert_piece *litert_open_trunk(const litert_graph *graph, const litert_group *group, const bnnpan_kernels *kernels);
litert_registration litert_trunk_registration(void);

/* A whole network, from PAN and LMS to HRMS, channels last. NULL when memory is short. */
litert_piece *litert_open_network(const litert_graph *graph, const litert_network *network,
                                  const bnnpan_kernels *kernels);
litert_registration litert_network_registration(void);

void litert_close_piece(litert_piece *piece);

typedef litert_status litert_step(litert_context *context, litert_node *node);

/* A registration that moves the piece, which the delegate's data points to, into the node: there it is the user data
 * and is closed in the end. What the delegate pointed to is then NULL. */
litert_registration litert_piece_registration(const char *name, litert_step *prepare, litert_step *invoke);

/* Reports why a piece cannot run. */
litert_status litert_refuse(litert_context *context, const char *piece, const char *reason);

/* An arena of that size in place of the one before; false when memory is short. */
bool litert_renew_arena(litert_piece *piece, size_t bytes);

#endif
