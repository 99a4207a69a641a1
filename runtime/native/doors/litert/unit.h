/* Finds NBC units in a graph: the operations that the exporter writes for one block of one sub-band
 * (`export/bnnpan_export/tflite_lce.py`), recognised by their structure alone. */
#ifndef BNNPAN_LITERT_UNIT_H
#define BNNPAN_LITERT_UNIT_H

#include "pattern.h"

/* Places of a unit's input and constants. */
enum {
    UNIT_INPUT = 1,
    UNIT_SHIFT,
    UNIT_SCALE,
    UNIT_MINUS_GAMMA,
    UNIT_BETA,
    UNIT_ZETA,
    UNIT_PHI,
    UNIT_INVERSE_LAMBDA,
    UNIT_ETA,
    UNIT_FILTER,
    UNIT_FIRST_INNER
};

typedef struct litert_unit {
    pattern_match match;
    int32_t input, output; /* tensors, the output behind what follows */
    bool outer_skip;       /* the input is added once more */
    int32_t gain, offset;  /* tensors (C) of the affine behind it, or LITERT_NO_TENSOR */
} litert_unit;

/* The unit around the LceBconv2d at a position; false when anything differs. */
bool litert_match_unit(const litert_graph *graph, int32_t position, litert_unit *unit);

#endif
