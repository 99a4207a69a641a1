/* A fused multiply-add for processors without one, by way of double: the product of two floats is exact there.
 *
 * Their sum rounded to double and again to float is the right result unless the double lies halfway between two floats,
 * where the first rounding may have lost on which side the sum lies. Then it is rounded to odd first (Boldo and
 * Melquiond, 2008): if something was lost and the last bit is even, one step towards what was lost. */
#ifndef BNNPAN_FMA_IN_DOUBLE_H
#define BNNPAN_FMA_IN_DOUBLE_H

#include <stdint.h>
#include <string.h>

static inline float bnnpan_fma_to_odd(float a, float b, float c) {
    const double product = (double)a * (double)b, addend = (double)c;
    double sum = product + addend;
    const double of_addend = sum - product;
    const double lost = (product - (sum - of_addend)) + (addend - of_addend);
    uint64_t bits;
    memcpy(&bits, &sum, sizeof bits);
    if (lost != 0.0 && bits % 2 == 0) {
        bits += (lost > 0.0) == (sum > 0.0) ? 1u : (uint64_t)-1;
        memcpy(&sum, &bits, sizeof sum);
    }
    return (float)sum;
}

/* Of a double's bits: those a float has no place for, and how they read halfway between two floats. */
#define BNNPAN_BELOW_FLOAT UINT64_C(0x1fffffff)
#define BNNPAN_HALFWAY UINT64_C(0x10000000)

/* Exponent bits of the smallest float of full precision, and those of a double. Below, halfway lies elsewhere. */
#define BNNPAN_SMALLEST_EXPONENT UINT64_C(0x3810000000000000)
#define BNNPAN_EXPONENT UINT64_C(0x7ff0000000000000)

static inline float bnnpan_fma(float a, float b, float c) {
    const double sum = (double)a * (double)b + (double)c;
    uint64_t bits;
    memcpy(&bits, &sum, sizeof bits);
    if ((bits & BNNPAN_BELOW_FLOAT) == BNNPAN_HALFWAY || (bits & BNNPAN_EXPONENT) < BNNPAN_SMALLEST_EXPONENT)
        return bnnpan_fma_to_odd(a, b, c);
    return (float)sum;
}

#endif
