/* As fast as this instruction set can be: loops for the peaks that `bnnpan bench` measures rows against. Pixels and
 * sums stay in registers and every weight serves many of them; there are enough independent sums to hide latencies. */
#include "../bench/peaks.h"

#include <string.h>

#include "../simd/simd.h"
#include "kernels.h"

enum { PIXEL_VECTORS = 8, FLOAT_SUMS = 10 };

#if defined(BNNPAN_SIMD_AVX2)

/* Carry-save addition (Harley and Seal): of eight words only one is counted, the fours; ones and twos stay behind. */
typedef struct bit_sums {
    __m256i ones, twos, fours, count;
} bit_sums;

static inline void add_pair(__m256i *carry, __m256i *sum, __m256i a, __m256i b) {
    const word_pair added = full_add(a, b, *sum);
    *sum = added.ones;
    *carry = added.twos;
}

static inline void add_bits(bit_sums *sums, const vwords pixels[PIXEL_VECTORS], vwords weight) {
    __m256i two[PIXEL_VECTORS / 2], four[PIXEL_VECTORS / 4], eight;
    for (int i = 0; i < PIXEL_VECTORS / 2; i++)
        add_pair(&two[i], &sums->ones, _mm256_xor_si256(pixels[2 * i], weight),
                 _mm256_xor_si256(pixels[2 * i + 1], weight));
    for (int i = 0; i < PIXEL_VECTORS / 4; i++) add_pair(&four[i], &sums->twos, two[2 * i], two[2 * i + 1]);
    add_pair(&eight, &sums->fours, four[0], four[1]);
    sums->count = _mm256_add_epi8(sums->count, byte_counts(eight));
}

static inline void add_block(bit_sums *sums, const vwords *pixels, const uint32_t *weights) {
    for (int i = 0; i < BNNPAN_PEAK_BLOCK; i++) add_bits(sums, pixels, w_set(weights[i]));
}

static inline vwords take_count(bit_sums *sums) {
    const vwords total = c_total(sums->count);
    sums->count = c_zero();
    return total;
}

#else

typedef struct bit_sums {
    vcounts count[PIXEL_VECTORS];
} bit_sums;

#if defined(BNNPAN_SIMD_AVX512) || defined(BNNPAN_SIMD_NEON)
static inline vcounts add_bits(vcounts count, vwords pixels, vwords weight) {
#if defined(BNNPAN_SIMD_AVX512)
    return _mm512_add_epi32(count, _mm512_popcnt_epi32(_mm512_xor_si512(pixels, weight)));
#else
    return vaddq_u8(count, vcntq_u8(vreinterpretq_u8_u32(veorq_u32(pixels, weight))));
#endif
}

static inline void add_block(bit_sums *sums, const vwords *pixels, const uint32_t *weights) {
    for (int i = 0; i < BNNPAN_PEAK_BLOCK; i++)
        for (int v = 0; v < PIXEL_VECTORS; v++)
            sums->count[v] = add_bits(sums->count[v], pixels[v], w_set(weights[i]));
}
#else
/* No instruction of its own to count bits: as the engine does it. */
static inline void add_block(bit_sums *sums, const vwords *pixels, const uint32_t *weights) {
    for (int i = 0; i < BNNPAN_PEAK_BLOCK; i += BNNPAN_TAPS)
        for (int v = 0; v < PIXEL_VECTORS; v++)
            sums->count[v] = c_add9(sums->count[v], pixels, weights + i + v);
}
#endif

static inline vwords take_count(bit_sums *sums) {
    vwords total = w_set(0);
    for (int v = 0; v < PIXEL_VECTORS; v++) {
        total = w_add(total, c_total(sums->count[v]));
        sums->count[v] = c_zero();
    }
    return total;
}

#endif

static uint32_t binary(const uint32_t *weights) {
    vwords pixels[BNNPAN_TAPS], total = w_set(0);
    uint32_t lanes[BNNPAN_LANES], checksum = 0;
    bit_sums sums;
    memset(&sums, 0, sizeof sums);
    for (int i = 0; i < BNNPAN_TAPS; i++) pixels[i] = w_load(weights + i * BNNPAN_LANES);
    for (int32_t first = 0; first < BNNPAN_PEAK_WEIGHTS; first += BNNPAN_PEAK_BLOCK) {
        add_block(&sums, pixels, weights + first);
        total = w_add(total, take_count(&sums));
    }
    w_store(lanes, total);
    for (int lane = 0; lane < BNNPAN_LANES; lane++) checksum += lanes[lane];
    return checksum;
}

static float fused(const float *weights) {
    vfloat sums[FLOAT_SUMS], total = v_zero();
    const vfloat pixels = v_load(weights);
    float lanes[BNNPAN_LANES], checksum = 0;
    for (int i = 0; i < FLOAT_SUMS; i++) sums[i] = v_set(weights[i]);
    for (int32_t i = 0; i < BNNPAN_PEAK_WEIGHTS; i++) {
        const vfloat weight = v_set(weights[i]);
        for (int k = 0; k < FLOAT_SUMS; k++) sums[k] = v_fma(pixels, weight, sums[k]);
    }
    for (int k = 0; k < FLOAT_SUMS; k++) total = v_add(total, sums[k]);
    v_store(lanes, total);
    for (int lane = 0; lane < BNNPAN_LANES; lane++) checksum += lanes[lane];
    return checksum;
}

const bnnpan_peak_loops BNNPAN_KERNEL(bnnpan_peak_loops) = {
    .binary_macs = PIXEL_VECTORS * BNNPAN_LANES * BNNPAN_WORD_BITS,
    .fused_macs = FLOAT_SUMS * BNNPAN_LANES,
    .binary = binary,
    .fused = fused,
};
