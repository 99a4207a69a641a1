/* Any processor: one value at a time in plain C. The reference that the other sets are tested against, and what
 * runs where none of them does. */
#include <math.h>

#include "fma_in_double.h"

#define BNNPAN_LANES 1

typedef float vfloat;
typedef uint32_t vwords;
typedef uint32_t vcounts;

static inline vfloat v_zero(void) { return 0.0f; }
static inline vfloat v_set(float x) { return x; }
static inline vfloat v_load(const float *p) { return *p; }
static inline void v_store(float *p, vfloat x) { *p = x; }
static inline vfloat v_add(vfloat a, vfloat b) { return a + b; }
static inline vfloat v_sub(vfloat a, vfloat b) { return a - b; }
static inline vfloat v_mul(vfloat a, vfloat b) { return a * b; }
static inline vfloat v_div(vfloat a, vfloat b) { return a / b; }
static inline vfloat v_sqrt(vfloat a) { return sqrtf(a); }

#ifdef __FP_FAST_FMAF
static inline vfloat v_fma(vfloat a, vfloat b, vfloat c) { return __builtin_fmaf(a, b, c); }
#else
static inline vfloat v_fma(vfloat a, vfloat b, vfloat c) { return bnnpan_fma(a, b, c); }
#endif

static inline vfloat v_rectify(vfloat u, vfloat w) { return u > 0.0f ? u : w; }

static inline vwords w_load(const uint32_t *p) { return *p; }
static inline void w_store(uint32_t *p, vwords x) { *p = x; }
static inline vwords w_set(uint32_t x) { return x; }
static inline vwords w_add(vwords a, vwords b) { return a + b; }
static inline vwords w_mark(vwords word, vfloat x, vfloat t, uint32_t bit) { return word | (x < t ? bit : 0); }
static inline vfloat w_float(vwords x) { return (float)(int32_t)x; }
static inline vwords w_truncate(vfloat x) { return (uint32_t)(int32_t)x; }

/* Weights are read where they are used, as operands in memory. */
typedef const uint32_t *vnine;
static inline vnine n_load(const uint32_t *w) { return w; }

static inline vcounts c_zero(void) { return 0; }
/* Bits per byte; over nine words three times they stay below 256. */
static inline vcounts c_add9(vcounts c, const vwords *x, vnine w) {
    for (int i = 0; i < 9; i++) {
        uint32_t bits = x[i] ^ w[i];
        bits -= bits >> 1 & 0x55555555u;
        bits = (bits & 0x33333333u) + (bits >> 2 & 0x33333333u);
        c += (bits + (bits >> 4)) & 0x0f0f0f0fu;
    }
    return c;
}
static inline vwords c_total(vcounts c) {
    const uint32_t halves = (c & 0x00ff00ffu) + (c >> 8 & 0x00ff00ffu);
    return (halves & 0xffffu) + (halves >> 16);
}
