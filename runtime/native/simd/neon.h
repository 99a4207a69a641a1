/* AArch64 Advanced SIMD, what every 64-bit ARM core has (Cortex-A53 and later). */
#include <arm_neon.h>

#define BNNPAN_LANES 4

typedef float32x4_t vfloat;
typedef uint32x4_t vwords;
typedef uint8x16_t vcounts;

static inline vfloat v_zero(void) { return vdupq_n_f32(0.0f); }
static inline vfloat v_set(float x) { return vdupq_n_f32(x); }
static inline vfloat v_load(const float *p) { return vld1q_f32(p); }
static inline void v_store(float *p, vfloat x) { vst1q_f32(p, x); }
static inline vfloat v_add(vfloat a, vfloat b) { return vaddq_f32(a, b); }
static inline vfloat v_sub(vfloat a, vfloat b) { return vsubq_f32(a, b); }
static inline vfloat v_mul(vfloat a, vfloat b) { return vmulq_f32(a, b); }
static inline vfloat v_div(vfloat a, vfloat b) { return vdivq_f32(a, b); }
static inline vfloat v_sqrt(vfloat a) { return vsqrtq_f32(a); }
static inline vfloat v_fma(vfloat a, vfloat b, vfloat c) { return vfmaq_f32(c, a, b); }
static inline vfloat v_rectify(vfloat u, vfloat w) { return vbslq_f32(vcgtzq_f32(u), u, w); }

static inline vwords w_load(const uint32_t *p) { return vld1q_u32(p); }
static inline void w_store(uint32_t *p, vwords x) { vst1q_u32(p, x); }
static inline vwords w_set(uint32_t x) { return vdupq_n_u32(x); }
static inline vwords w_add(vwords a, vwords b) { return vaddq_u32(a, b); }

static inline vwords w_mark(vwords word, vfloat x, vfloat t, uint32_t bit) {
    return vorrq_u32(word, vandq_u32(vcltq_f32(x, t), w_set(bit)));
}

static inline vfloat w_float(vwords x) { return vcvtq_f32_s32(vreinterpretq_s32_u32(x)); }
static inline vwords w_truncate(vfloat x) { return vreinterpretq_u32_s32(vcvtq_s32_f32(x)); }

static inline vcounts c_zero(void) { return vdupq_n_u8(0); }
typedef struct vnine {
    vwords word[9];
} vnine;

static inline vnine n_load(const uint32_t *w) {
    vnine nine;
    for (int i = 0; i < 9; i++) nine.word[i] = vld1q_dup_u32(w + i);
    return nine;
}

/* Steps of all nine side by side, and a short tree, for processors that execute in order. */
static inline vcounts c_add9(vcounts c, const vwords *x, vnine w) {
    vwords bits[9];
    uint8x16_t n[9];
    for (int i = 0; i < 9; i++) bits[i] = veorq_u32(w.word[i], x[i]);
    for (int i = 0; i < 9; i++) n[i] = vcntq_u8(vreinterpretq_u8_u32(bits[i]));
    for (int i = 0; i < 4; i++) n[i] = vaddq_u8(n[i], n[i + 4]);
    c = vaddq_u8(c, n[8]);
    for (int i = 0; i < 2; i++) n[i] = vaddq_u8(n[i], n[i + 2]);
    return vaddq_u8(c, vaddq_u8(n[0], n[1]));
}
static inline vwords c_total(vcounts c) { return vpaddlq_u16(vpaddlq_u8(c)); }
