/* Which sets of kernels this library holds, and which of them this processor can run. */
#include <string.h>

#include "model.h"

#define DECLARE(isa) extern const bnnpan_kernels BNNPAN_JOIN(bnnpan_kernels, isa)

DECLARE(portable);

#ifdef BNNPAN_X86
DECLARE(avx2);
DECLARE(avx512);

static int has_avx2(void) { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }

static int has_avx512(void) {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512vpopcntdq");
}
#endif

#ifdef BNNPAN_AARCH64
DECLARE(neon);
#endif

static int always(void) { return 1; }

/* Best first. */
static const struct {
    const bnnpan_kernels *kernels;
    int (*available)(void);
} LEVELS[] = {
#ifdef BNNPAN_X86
    {&bnnpan_kernels_avx512, has_avx512},
    {&bnnpan_kernels_avx2, has_avx2},
#endif
#ifdef BNNPAN_AARCH64
    {&bnnpan_kernels_neon, always},
#endif
    {&bnnpan_kernels_portable, always},
};

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
