/* Finds a fixed piece of a graph: operations and constants exactly as a table has them. */
#ifndef BNNPAN_LITERT_PATTERN_H
#define BNNPAN_LITERT_PATTERN_H

#include "graph.h"

enum { PATTERN_LIST = 4, PATTERN_PLACES = 48, PATTERN_STEPS = 32 };

/* Codes of steps besides those of builtin operators. */
enum { PATTERN_QUANTIZE = -1, PATTERN_BCONV = -2 };

/* What may stand at a place. */
typedef enum place_kind {
    PLACE_FLOAT = 0,    /* float32 of rank 4 made while the graph runs; all that follow but PACKED are constants */
    PLACE_PACKED,       /* signs of such a tensor */
    PLACE_PER_CHANNEL,  /* one float32 per channel */
    PLACE_PER_BAND,     /* float32, as many as there are */
    PLACE_SIGNS,        /* packed filters of a binary 3x3 convolution, channels to channels */
    PLACE_HEAD_WEIGHT,  /* filters of a float 3x3 convolution to the channels */
    PLACE_TAIL_WEIGHT,  /* and from the channels */
    PLACE_LAST_AXIS,    /* -1 or 3 */
    PLACE_HALF,         /* 0.5 */
    PLACE_EPSILON,      /* 1e-6, of the normalisation */
} place_kind;

/* One operation. It is found from a tensor that an earlier step, or the caller, has bound: by its output where that is
 * bound, else by an input. Lists of places end with 0, which is no place. Sums and products may have their inputs in
 * either order; activations must be linear, convolutions of stride 1 with zero padding, axes the last one. */
typedef struct pattern_step {
    int32_t code; /* LITERT_ADD and so on */
    int32_t inputs[PATTERN_LIST], outputs[PATTERN_LIST];
} pattern_step;

typedef struct pattern_match {
    int32_t channels;
    int32_t tensor[PATTERN_PLACES]; /* LITERT_NO_TENSOR where not bound */
    int32_t operations;
    int32_t operation[PATTERN_STEPS]; /* positions in the graph */
} pattern_match;

void litert_pattern_start(pattern_match *match, int32_t channels);

/* Matches all steps in turn, kinds[place] saying what stands where; false when one finds nothing that fits. */
bool litert_pattern_follow(const litert_graph *graph, const pattern_step *steps, int32_t count,
                           const place_kind *kinds, pattern_match *match);

/* Whether an operation is what a step's code and the rules above say. */
bool litert_has_code(const litert_operation *operation, int32_t code, int32_t channels);

#endif
