#define _POSIX_C_SOURCE 199309L

#include "peaks.h"

#include <stdlib.h>
#include <string.h>

#include "../engine/isa.h"
#include "bench.h"
#include "clock.h"

#define DECLARE(isa) extern const bnnpan_peak_loops BNNPAN_JOIN(bnnpan_peak_loops, isa);
BNNPAN_EACH_SET(DECLARE)

#define SET(isa) {#isa, &BNNPAN_JOIN(bnnpan_peak_loops, isa)},
static const struct {
    const char *isa;
    const bnnpan_peak_loops *loops;
} SETS[] = {BNNPAN_EACH_SET(SET)};

enum { SET_COUNT = sizeof SETS / sizeof SETS[0] };

static const bnnpan_peak_loops *find_loops(const char *isa) {
    const bnnpan_kernels *kernels = bnnpan_find_kernels(isa);
    for (int i = 0; kernels != NULL && i < SET_COUNT; i++)
        if (strcmp(SETS[i].isa, kernels->name) == 0) return SETS[i].loops;
    return NULL;
}

/* A pass is many calls, lest the clock count; a tenth of the passes is faster than the one taken, which leaves out both
 * interrupted passes and slips of the clock. */
enum { PASSES = 200, CALLS = 8 };
static const double LONGEST_SECONDS = 0.5;

static int compare(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Work per second of `passes` durations, which get sorted. */
static double rate(double seconds[PASSES], size_t passes, int32_t macs) {
    qsort(seconds, passes, sizeof *seconds, compare);
    return (double)CALLS * BNNPAN_PEAK_WEIGHTS * (double)macs / seconds[passes / 10];
}

int32_t bnnpan_bench_peaks(const char *isa, double *binary, double *fused) {
    const bnnpan_peak_loops *loops = find_loops(isa);
    if (binary == NULL || fused == NULL) return BNNPAN_NO_ARGUMENT;
    if (loops == NULL) return BNNPAN_BAD_SIZE;
    uint32_t bits[BNNPAN_PEAK_WORDS];
    float values[BNNPAN_PEAK_WORDS];
    for (uint32_t i = 0; i < BNNPAN_PEAK_WORDS; i++) {
        bits[i] = i * UINT32_C(2654435761);
        values[i] = (float)(bits[i] >> 16) / 65536.0f;
    }
    double binary_seconds[PASSES], fused_seconds[PASSES];
    volatile float checksum = 0.0f;
    size_t passes = 0;
    const double end = bnnpan_now() + LONGEST_SECONDS;
    for (; passes == 0 || (passes < PASSES && bnnpan_now() < end); passes++) {
        const double before = bnnpan_now();
        for (int call = 0; call < CALLS; call++) checksum = (float)loops->binary(bits);
        const double between = bnnpan_now();
        for (int call = 0; call < CALLS; call++) checksum = loops->fused(values);
        binary_seconds[passes] = between - before;
        fused_seconds[passes] = bnnpan_now() - between;
    }
    (void)checksum;
    *binary = rate(binary_seconds, passes, loops->binary_macs);
    *fused = rate(fused_seconds, passes, loops->fused_macs);
    return BNNPAN_OK;
}
