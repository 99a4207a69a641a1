/* AVX-512 with VPOPCNTDQ (Ice Lake, Zen 4 and later). */
#include <immintrin.h>

#define BNNPAN_LANES 16

typedef __m512 vfloat;
typedef __m512i vwords;
typedef __m512i vcounts;

static inline vfloat v_zero(void) { return _mm512_setzero_ps(); }
static inline vfloat v_set(float x) { return _mm512_set1_ps(x); }
static inline vfloat v_load(const float *p) { return _mm512_loadu_ps(p); }
static inline void v_store(float *p, vfloat x) { _mm512_storeu_ps(p, x); }
static inline vfloat v_add(vfloat a, vfloat b) { return _mm512_add_ps(a, b); }
static inline vfloat v_sub(vfloat a, vfloat b) { return _mm512_sub_ps(a, b); }
static inline vfloat v_mul(vfloat a, vfloat b) { return _mm512_mul_ps(a, b); }
static inline vfloat v_div(vfloat a, vfloat b) { return _mm512_div_ps(a, b); }
static inline vfloat v_sqrt(vfloat a) { return _mm512_sqrt_ps(a); }
static inline vfloat v_fma(vfloat a, vfloat b, vfloat c) { return _mm512_fmadd_ps(a, b, c); }

static inline vfloat v_rectify(vfloat u, vfloat w) {
    return _mm512_mask_mov_ps(w, _mm512_cmp_ps_mask(u, _mm512_setzero_ps(), _CMP_GT_OQ), u);
}

static inline vwords w_load(const uint32_t *p) { return _mm512_loadu_si512(p); }
static inline void w_store(uint32_t *p, vwords x) { _mm512_storeu_si512(p, x); }
static inline vwords w_set(uint32_t x) { return _mm512_set1_epi32((int32_t)x); }
static inline vwords w_add(vwords a, vwords b) { return _mm512_add_epi32(a, b); }

static inline vwords w_mark(vwords word, vfloat x, vfloat t, uint32_t bit) {
    return _mm512_mask_or_epi32(word, _mm512_cmp_ps_mask(x, t, _CMP_LT_OQ), word, w_set(bit));
}

static inline vfloat w_float(vwords x) { return _mm512_cvtepi32_ps(x); }
static inline vwords w_truncate(vfloat x) { return _mm512_cvttps_epi32(x); }

/* Weights are read where they are used, as operands in memory. */
typedef const uint32_t *vnine;
static inline vnine n_load(const uint32_t *w) { return w; }

static inline vcounts c_zero(void) { return _mm512_setzero_si512(); }
static inline vcounts c_add9(vcounts c, const vwords *x, vnine w) {
    for (int i = 0; i < 9; i++)
        c = _mm512_add_epi32(c, _mm512_popcnt_epi32(_mm512_xor_si512(x[i], w_set(w[i]))));
    return c;
}
static inline vwords c_total(vcounts c) { return c; }
