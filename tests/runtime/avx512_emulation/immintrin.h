/* Stands in for the compiler's immintrin.h, found first by -isystem: AVX-512 in plain C by SIMDe, so that the kernels
 * over simd/avx512.h run on any processor. Below are the instructions that SIMDe 0.7.4 lacks or rounds otherwise. */
#ifndef BNNPAN_AVX512_EMULATION_H
#define BNNPAN_AVX512_EMULATION_H

#include <math.h>

#define SIMDE_NO_NATIVE
#define SIMDE_ENABLE_NATIVE_ALIASES
#include <simde/x86/avx512.h>

#define BNNPAN_EMULATED_LANES 16

/* SIMDe rounds product and sum one by one. */
static inline __m512 bnnpan_emulated_fmadd(__m512 a, __m512 b, __m512 c) {
    float x[BNNPAN_EMULATED_LANES], y[BNNPAN_EMULATED_LANES], z[BNNPAN_EMULATED_LANES];
    _mm512_storeu_ps(x, a);
    _mm512_storeu_ps(y, b);
    _mm512_storeu_ps(z, c);
    for (int i = 0; i < BNNPAN_EMULATED_LANES; i++) z[i] = fmaf(x[i], y[i], z[i]);
    return _mm512_loadu_ps(z);
}

static inline __m512 bnnpan_emulated_cvtepi32(__m512i a) {
    int32_t x[BNNPAN_EMULATED_LANES];
    float y[BNNPAN_EMULATED_LANES];
    _mm512_storeu_si512(x, a);
    for (int i = 0; i < BNNPAN_EMULATED_LANES; i++) y[i] = (float)x[i];
    return _mm512_loadu_ps(y);
}

static inline __m512i bnnpan_emulated_cvttps(__m512 a) {
    float x[BNNPAN_EMULATED_LANES];
    int32_t y[BNNPAN_EMULATED_LANES];
    _mm512_storeu_ps(x, a);
    for (int i = 0; i < BNNPAN_EMULATED_LANES; i++) y[i] = (int32_t)x[i];
    return _mm512_loadu_si512(y);
}

static inline __m512i bnnpan_emulated_mask_or(__m512i source, simde__mmask16 mask, __m512i a, __m512i b) {
    return _mm512_mask_mov_epi32(source, mask, _mm512_or_si512(a, b));
}

#undef _mm512_fmadd_ps
#define _mm512_fmadd_ps bnnpan_emulated_fmadd
#undef _mm512_cvtepi32_ps
#define _mm512_cvtepi32_ps bnnpan_emulated_cvtepi32
#undef _mm512_cvttps_epi32
#define _mm512_cvttps_epi32 bnnpan_emulated_cvttps
#undef _mm512_mask_or_epi32
#define _mm512_mask_or_epi32 bnnpan_emulated_mask_or

#endif
