/* Wall time for timings; needs _POSIX_C_SOURCE 199309L. */
#ifndef BNNPAN_CLOCK_H
#define BNNPAN_CLOCK_H

#include <time.h>

static inline double bnnpan_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

#endif
