/* Runs the fuzz target without libFuzzer:
 *
 *   replay FILE...                   the inputs in these files
 *   replay --random COUNT SEED FILE  so many pseudo-random ones, the same for a seed; FILE keeps the one at hand, for
 *                                    when it does not come back */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz_engine.h"

enum { LARGEST_INPUT = 4096, LARGEST_RANDOM = 160 };

static void replay(const char *path) {
    uint8_t *data = malloc(LARGEST_INPUT);
    FILE *file = fopen(path, "rb");
    if (file == NULL || data == NULL) {
        fprintf(stderr, "cannot read %s\n", path);
        exit(1);
    }
    const size_t bytes = fread(data, 1, LARGEST_INPUT, file);
    fclose(file);
    LLVMFuzzerTestOneInput(data, bytes);
    free(data);
}

/* Input `index` of a seed. Splitmix64 (Steele, Lea and Flood, 2014), which needs no state from input to input. */
static uint64_t mixed(uint64_t x) {
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

static void keep(const char *path, const uint8_t *data, size_t bytes) {
    FILE *file = fopen(path, "wb");
    if (file == NULL || fwrite(data, 1, bytes, file) != bytes) {
        fprintf(stderr, "cannot write %s\n", path);
        exit(1);
    }
    fclose(file);
}

static void randomise(uint64_t seed, long index, const char *path) {
    uint8_t data[LARGEST_RANDOM];
    uint64_t state = mixed(seed) + (uint64_t)index * LARGEST_RANDOM;
    for (int i = 0; i < LARGEST_RANDOM; i++) data[i] = (uint8_t)(mixed(state++ * UINT64_C(0x9e3779b97f4a7c15)) >> 56);
    keep(path, data, sizeof data);
    LLVMFuzzerTestOneInput(data, sizeof data);
}

int main(int count, char **arguments) {
    if (count == 5 && strcmp(arguments[1], "--random") == 0) {
        const long inputs = strtol(arguments[2], NULL, 10);
        const uint64_t seed = strtoull(arguments[3], NULL, 10);
        for (long i = 0; i < inputs; i++) randomise(seed, i, arguments[4]);
    } else {
        for (int i = 1; i < count; i++) replay(arguments[i]);
    }
    printf("inputs %ld models %ld done %ld refused %ld\n", fuzz_count.inputs, fuzz_count.models, fuzz_count.done,
           fuzz_count.refused);
    return 0;
}
