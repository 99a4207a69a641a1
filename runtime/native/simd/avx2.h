/* AVX2 with FMA (Haswell, Zen and later). */
#include <immintrin.h>

#define BNNPAN_LANES 8

typedef __m256 vfloat;
typedef __m256i vwords;
typedef __m256i vcounts; /* per byte */

static inline vfloat v_zero(void) { return _mm256_setzero_ps(); }
static inline vfloat v_set(float x) { return _mm256_set1_ps(x); }
static inline vfloat v_load(const float *p) { return _mm256_loadu_ps(p); }
static inline void v_store(float *p, vfloat x) { _mm256_storeu_ps(p, x); }
static inline vfloat v_add(vfloat a, vfloat b) { return _mm256_add_ps(a, b); }
static inline vfloat v_sub(vfloat a, vfloat b) { return _mm256_sub_ps(a, b); }
static inline vfloat v_mul(vfloat a, vfloat b) { return _mm256_mul_ps(a, b); }
static inline vfloat v_div(vfloat a, vfloat b) { return _mm256_div_ps(a, b); }
static inline vfloat v_sqrt(vfloat a) { return _mm256_sqrt_ps(a); }
static inline vfloat v_fma(vfloat a, vfloat b, vfloat c) { return _mm256_fmadd_ps(a, b, c); }

static inline vfloat v_rectify(vfloat u, vfloat w) {
    return _mm256_blendv_ps(w, u, _mm256_cmp_ps(u, _mm256_setzero_ps(), _CMP_GT_OQ));
}

static inline vwords w_load(const uint32_t *p) { return _mm256_loadu_si256((const __m256i *)(const void *)p); }
static inline void w_store(uint32_t *p, vwords x) { _mm256_storeu_si256((__m256i *)(void *)p, x); }
static inline vwords w_set(uint32_t x) { return _mm256_set1_epi32((int32_t)x); }
static inline vwords w_add(vwords a, vwords b) { return _mm256_add_epi32(a, b); }

static inline vwords w_mark(vwords word, vfloat x, vfloat t, uint32_t bit) {
    const __m256i less = _mm256_castps_si256(_mm256_cmp_ps(x, t, _CMP_LT_OQ));
    return _mm256_or_si256(word, _mm256_and_si256(less, w_set(bit)));
}

static inline vfloat w_float(vwords x) { return _mm256_cvtepi32_ps(x); }
static inline vwords w_truncate(vfloat x) { return _mm256_cvttps_epi32(x); }

/* Weights are read where they are used, as operands in memory. */
typedef const uint32_t *vnine;
static inline vnine n_load(const uint32_t *w) { return w; }

static inline vcounts c_zero(void) { return _mm256_setzero_si256(); }

/* Words added up place by place: `ones` has the places where an odd number of them is set, `twos` those where two or
 * three are. */
typedef struct word_pair {
    __m256i ones, twos;
} word_pair;

static inline word_pair full_add(__m256i a, __m256i b, __m256i c) {
    const __m256i odd = _mm256_xor_si256(a, b);
    return (word_pair){_mm256_xor_si256(odd, c), _mm256_or_si256(_mm256_and_si256(a, b), _mm256_and_si256(odd, c))};
}

static inline word_pair add_three(const vwords *x, const uint32_t *w) {
    return full_add(_mm256_xor_si256(x[0], w_set(w[0])), _mm256_xor_si256(x[1], w_set(w[1])),
                    _mm256_xor_si256(x[2], w_set(w[2])));
}

/* Bits per byte, four at a time by a table. */
static inline __m256i byte_counts(__m256i bits) {
    const __m256i table = _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4, /* both halves */
                                           0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4);
    const __m256i nibble = _mm256_set1_epi8(15);
    const __m256i low = _mm256_and_si256(bits, nibble), high = _mm256_and_si256(_mm256_srli_epi16(bits, 4), nibble);
    return _mm256_add_epi8(_mm256_shuffle_epi8(table, low), _mm256_shuffle_epi8(table, high));
}

/* Nine words are added up place by place first (Harley and Seal), which leaves four to count instead of nine. */
static inline vcounts c_add9(vcounts c, const vwords *x, vnine w) {
    const word_pair first = add_three(x, w), second = add_three(x + 3, w + 3), third = add_three(x + 6, w + 6);
    const word_pair ones = full_add(first.ones, second.ones, third.ones);
    const word_pair twos = full_add(first.twos, second.twos, third.twos);
    const __m256i two = _mm256_add_epi8(byte_counts(ones.twos), byte_counts(twos.ones));
    const __m256i four = byte_counts(twos.twos);
    const __m256i upper = _mm256_add_epi8(two, _mm256_add_epi8(four, four));
    return _mm256_add_epi8(_mm256_add_epi8(c, byte_counts(ones.ones)), _mm256_add_epi8(upper, upper));
}
static inline vwords c_total(vcounts c) {
    return _mm256_madd_epi16(_mm256_maddubs_epi16(c, _mm256_set1_epi8(1)), _mm256_set1_epi16(1));
}
