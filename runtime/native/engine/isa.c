#include "isa.h"

#include <string.h>

#include "../bnnpan.h"

#define DECLARE(isa) extern const bnnpan_kernels BNNPAN_JOIN(bnnpan_kernels, isa);
BNNPAN_EACH_SET(DECLARE)

#ifdef BNNPAN_X86
static int runs_avx2(void) { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }

static int runs_avx512(void) {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512vpopcntdq");
}
#endif

#ifdef BNNPAN_AARCH64
static int runs_neon(void) { return 1; }
#endif

static int runs_portable(void) { return 1; }

#define LEVEL(isa) {&BNNPAN_JOIN(bnnpan_kernels, isa), BNNPAN_JOIN(runs, isa)},
static const struct {
    const bnnpan_kernels *kernels;
    int (*available)(void);
} LEVELS[] = {BNNPAN_EACH_SET(LEVEL)};

enum { LEVEL_COUNT = sizeof LEVELS / sizeof LEVELS[0] };

const char *bnnpan_isa_name(int32_t index) {
    if (index < 0) return NULL;
    for (int32_t i = 0; i < LEVEL_COUNT; i++)
        if (LEVELS[i].available() && index-- == 0) return LEVELS[i].kernels->name;
    return NULL;
}

const bnnpan_kernels *bnnpan_find_kernels(const char *isa) {
    for (int32_t i = 0; i < LEVEL_COUNT; i++) {
        const bnnpan_kernels *kernels = LEVELS[i].kernels;
        if (LEVELS[i].available() && (isa == NULL || strcmp(isa, kernels->name) == 0)) return kernels;
    }
    return NULL;
}
