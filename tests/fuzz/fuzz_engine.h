/* What the fuzz target has done, so that a run of random inputs can show that it reached the engine. */
#ifndef BNNPAN_FUZZ_ENGINE_H
#define BNNPAN_FUZZ_ENGINE_H

#include <stddef.h>
#include <stdint.h>

typedef struct fuzz_counts {
    long inputs, models, done, refused;
} fuzz_counts;

extern fuzz_counts fuzz_count;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

#endif
