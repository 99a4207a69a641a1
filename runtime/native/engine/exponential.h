/* exp with a fixed order of operations: the C library's differs between platforms in the last bits. */
#ifndef BNNPAN_EXPONENTIAL_H
#define BNNPAN_EXPONENTIAL_H

#include <stdint.h>
#include <string.h>

/* exp(x) within 2 units in the last place for |x| <= 700, clamped outside: x = k ln 2 + r with |r| <= ln 2 / 2,
 * then the Taylor series of exp(r), whose first term left out is r^14 / 14! < 4e-18. */
static inline double bnnpan_exp(double x) {
    static const double INVERSE_LN2 = 1.4426950408889634074;
    /* ln 2 in two parts (Cody and Waite); the first ends in 21 zero bits, so k * LN2_HIGH is exact. */
    static const double LN2_HIGH = 6.93147180369123816490e-01, LN2_LOW = 1.90821492927058770002e-10;
    static const double LIMIT = 700.0;
    if (x != x) return x;
    x = x < -LIMIT ? -LIMIT : x > LIMIT ? LIMIT : x;
    const int64_t k = (int64_t)(x * INVERSE_LN2 + (x < 0 ? -0.5 : 0.5));
    const double r = (x - (double)k * LN2_HIGH) - (double)k * LN2_LOW;
    double sum = 1.0;
    for (int n = 13; n >= 1; n--) sum = 1.0 + sum * r / n;
    const int64_t exponent_bits = (k + 1023) << 52;
    double power;
    memcpy(&power, &exponent_bits, sizeof power);
    return sum * power;
}

static inline double bnnpan_sigmoid(double x) { return 1.0 / (1.0 + bnnpan_exp(-x)); }

#endif
