/* Binary 3x3 convolution of one output channel over part of one row: exact integer sums of signs times weights.
 *
 * Over taps inside the window, sum = C * taps - 2 * mismatches. Taps outside count 0, but read packed zeros
 * (positive signs): each of them adds popcount(weight) = `ones` mismatches. Their excess is a constant,
 * `outside` = 2 * ones - C, so the loop itself needs no case for the border. |sum| <= 9 C. */
#include "kernels.h"

#ifdef __AVX512VPOPCNTDQ__
static inline uint32_t counts(uint32_t word) { return (uint32_t)__builtin_popcount(word); }
static inline uint32_t total(uint32_t sum) { return sum; }
#else
/* Without a vector popcount: bits per byte, added up over 9 words (at most 72 per byte), then the four bytes. */
static inline uint32_t counts(uint32_t word) {
    word -= word >> 1 & 0x55555555u;
    word = (word & 0x33333333u) + (word >> 2 & 0x33333333u);
    return (word + (word >> 4)) & 0x0f0f0f0fu;
}
static inline uint32_t total(uint32_t sum) {
    sum = (sum & 0x00ff00ffu) + (sum >> 8 & 0x00ff00ffu);
    return (sum & 0xffffu) + (sum >> 16);
}
#endif

static void subtract_mismatches(int32_t *restrict sums, const uint32_t *restrict above, const uint32_t *restrict here,
                                const uint32_t *restrict below, const uint32_t *weight, int32_t count) {
    const uint32_t w0 = weight[0], w1 = weight[1], w2 = weight[2];
    const uint32_t w3 = weight[3], w4 = weight[4], w5 = weight[5];
    const uint32_t w6 = weight[6], w7 = weight[7], w8 = weight[8];
    for (int32_t x = 0; x < count; x++) {
        uint32_t sum = counts(above[x] ^ w0) + counts(above[x + 1] ^ w1) + counts(above[x + 2] ^ w2);
        sum += counts(here[x] ^ w3) + counts(here[x + 1] ^ w4) + counts(here[x + 2] ^ w5);
        sum += counts(below[x] ^ w6) + counts(below[x + 1] ^ w7) + counts(below[x + 2] ^ w8);
        sums[x] -= (int32_t)(2 * total(sum));
    }
}

/* Sums of pixels first .. first + count - 1 of a row of n. */
void BNNPAN_KERNEL(binary_conv_row)(int32_t *sums, const bnnpan_unit *unit, int32_t channel,
                                    const bnnpan_packed_rows *packed, int32_t first, int32_t count, int32_t n) {
    const int32_t *outside = unit->outside + channel * BNNPAN_TAPS;
    int32_t constant = BNNPAN_TAPS * unit->channels, left = 0, right = 0;
    for (int32_t ky = 0; ky < 3; ky++) {
        if (packed->outside[ky]) {
            constant += outside[3 * ky] + outside[3 * ky + 1] + outside[3 * ky + 2];
        } else {
            left += outside[3 * ky];
            right += outside[3 * ky + 2];
        }
    }
    for (int32_t x = 0; x < count; x++) sums[x] = constant;
    for (int32_t word = 0; word < unit->words; word++) {
        const int64_t start = (int64_t)word * packed->stride + first;
        const uint32_t *weight = unit->bits + (int64_t)(channel * unit->words + word) * BNNPAN_TAPS;
        subtract_mismatches(sums, packed->row[0] + start, packed->row[1] + start, packed->row[2] + start, weight,
                            count);
    }
    if (first == 0) sums[0] += left;
    if (first + count == n) sums[count - 1] += right;
}
