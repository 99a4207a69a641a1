/* Finds NBC units in a graph: the operations that the exporter writes for one block of one sub-band
 * (`export/bnnpan_export/tflite_lce.py`), recognised by their structure alone. */
#ifndef BNNPAN_LITERT_UNIT_H
#define BNNPAN_LITERT_UNIT_H

#include "graph.h"

/* Tensors of a unit. */
enum {
    UNIT_INPUT,
    UNIT_OUTPUT,
    UNIT_AXIS, /* of the mean over the channels */
    UNIT_EPSILON,
    /* constants, one value per channel */
    UNIT_SHIFT,
    UNIT_SCALE,
    UNIT_MINUS_GAMMA,
    UNIT_BETA,
    UNIT_ZETA,
    UNIT_PHI,
    UNIT_INVERSE_LAMBDA,
    UNIT_ETA,
    UNIT_FILTER,
    /* activations in between */
    UNIT_SHIFTED,
    UNIT_SIGNS,
    UNIT_CONVOLVED,
    UNIT_RECTIFIED,
    UNIT_BRANCH,
    UNIT_BRANCH_MEAN,
    UNIT_BRANCH_CENTRED,
    UNIT_BRANCH_SQUARE,
    UNIT_BRANCH_VARIANCE,
    UNIT_BRANCH_ABOVE,
    UNIT_BRANCH_MOVED,
    UNIT_INPUT_MEAN,
    UNIT_INPUT_CENTRED,
    UNIT_INPUT_SQUARE,
    UNIT_INPUT_VARIANCE,
    UNIT_INPUT_ABOVE,
    UNIT_RATIO,
    UNIT_GAIN,
    UNIT_NORMALISED,
    UNIT_WEIGHTED,
    UNIT_RAISED,
    UNIT_ADDED,
    UNIT_TENSORS
};

enum { UNIT_STEPS = 23, UNIT_OPERATIONS = UNIT_STEPS + 3 }; /* with skip, gain and offset */

typedef struct litert_unit {
    int32_t tensor[UNIT_TENSORS];       /* UNIT_OUTPUT: behind skip, gain and offset */
    int32_t operation[UNIT_OPERATIONS]; /* positions in the graph */
    int32_t operations;
    int32_t channels;
    bool outer_skip;      /* the input is added once more */
    int32_t gain, offset; /* tensors of the affine behind it, or LITERT_NO_TENSOR */
} litert_unit;

/* The unit around the LceBconv2d at a position; false when anything differs. */
bool litert_match_unit(const litert_graph *graph, int32_t position, litert_unit *unit);

#endif
