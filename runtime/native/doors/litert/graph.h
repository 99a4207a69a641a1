/* A runtime's graph as its delegate sees it: operations in the order they run, and who makes and takes a tensor. */
#ifndef BNNPAN_LITERT_GRAPH_H
#define BNNPAN_LITERT_GRAPH_H

#include <stdbool.h>

#include "abi.h"
#include "lce.h"

enum { LITERT_NOWHERE = -1 };

/* What of a node stays where it is while the runtime adds nodes of its own. */
typedef struct litert_operation {
    int32_t node;
    int32_t code; /* LITERT_ADD and so on */
    lce_operator lce;
    const litert_ints *inputs, *outputs;
    const void *options; /* of builtin operators */
    const void *custom_options;
    size_t custom_options_bytes;
} litert_operation;

typedef struct litert_graph {
    litert_context *context;
    int32_t tensors;
    int32_t count;
    litert_operation *operations; /* in execution order; indices into it are positions */
    int32_t *producer;            /* position per tensor, or LITERT_NOWHERE */
    int32_t *first_consumer;      /* (tensors + 1), into `consumers` */
    int32_t *consumers;           /* positions, each once per tensor */
} litert_graph;

/* False when the runtime does not tell or memory is short; close it in any case. */
bool litert_graph_open(litert_graph *graph, litert_context *context);
void litert_graph_close(litert_graph *graph);

/* The only operation that takes a tensor, or NULL. */
const litert_operation *litert_only_consumer(const litert_graph *graph, int32_t tensor);

/* The tensor of an input or output list, or NULL where the list ends or the place is left empty. */
litert_tensor *litert_tensor_of(const litert_context *context, const litert_ints *list, int32_t place);

static inline int32_t litert_last_dim(const litert_tensor *tensor) {
    return tensor->dims->data[tensor->dims->size - 1];
}

bool litert_same_dims(const litert_tensor *one, const litert_tensor *other);

/* Gives a tensor its size before the graph runs. */
litert_status litert_resize(litert_context *context, litert_tensor *tensor, int32_t rank, const int32_t *dims);

/* A constant of that type with that many elements, all along the last axis. */
bool litert_is_constant(const litert_tensor *tensor, int32_t type, int64_t count);

#endif
