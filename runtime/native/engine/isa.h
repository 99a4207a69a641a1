/* Which sets of kernels this library holds, and which of them this processor can run. */
#ifndef BNNPAN_ISA_H
#define BNNPAN_ISA_H

#include "../kernels/kernels.h"

/* Calls a macro with the name of each set, best first. */
#if defined(BNNPAN_X86)
#define BNNPAN_EACH_SET(macro) macro(avx512) macro(avx2) macro(portable)
#elif defined(BNNPAN_AARCH64)
#define BNNPAN_EACH_SET(macro) macro(neon) macro(portable)
#else
#define BNNPAN_EACH_SET(macro) macro(portable)
#endif

/* Kernels by name, or the best ones for NULL; NULL when not available on this processor. */
const bnnpan_kernels *bnnpan_find_kernels(const char *isa);

#endif
