/* Fused multiply-adds in double (simd/fma_in_double.h) against fmaf, bit for bit.
 *
 *   fma_driver FILE         results for the triples of float32 in FILE, to standard output
 *   fma_driver COUNT SEED   so many random and adversarial triples; exit status 1 and the first that differs */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "simd/fma_in_double.h"

static uint64_t state;

/* Splitmix64 (Steele, Lea and Flood, 2014). */
static uint64_t random_word(void) {
    uint64_t x = state += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

static float of_bits(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint32_t bits_of(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* Near a value, in units of its last place. */
static float near(float value) { return of_bits(bits_of(value) + (uint32_t)(random_word() % 5) - 2); }

/* Any sign and exponent; often few significant bits, or close to a power of two, which makes sums halfway. */
static float any(void) {
    static const uint32_t MASKS[] = {0x7fffff, 0x7fffff, 0x7ff800, 0x7ff000, 0x700000, 0x000fff, 0, 0};
    const uint64_t word = random_word();
    const float value = of_bits((uint32_t)word & (0xff800000u | MASKS[word >> 61]));
    return word >> 61 == 7 ? near(value) : value;
}

/* A c for which a * b + c cancels, lies halfway between two floats or close by, or is subnormal. */
static float adverse(float a, float b) {
    const float product = a * b;
    switch (random_word() % 6) {
    case 0: return near(-product);
    case 1: return near(product * 16777216.0f); /* product is about half a unit in its last place, 2^-24 of it */
    case 2: return near(-product * 16777216.0f);
    case 3: return near(product * 33554432.0f);
    case 4: return of_bits((uint32_t)random_word() & 0x807fffffu);
    default: return any();
    }
}

static int is_same(float a, float b) { return bits_of(a) == bits_of(b) || (isnan(a) && isnan(b)); }

static int compare(long count) {
    for (long i = 0; i < count; i++) {
        const float a = any(), b = i % 2 ? any() : of_bits((bits_of(any()) & 0x83ffffffu) | 0x3c000000u);
        const float c = i % 3 ? adverse(a, b) : any();
        if (is_same(bnnpan_fma(a, b, c), fmaf(a, b, c))) continue;
        fprintf(stderr, "%a * %a + %a is %a, not %a\n", (double)a, (double)b, (double)c, (double)fmaf(a, b, c),
                (double)bnnpan_fma(a, b, c));
        return 1;
    }
    return 0;
}

static int answer(const char *path) {
    FILE *file = fopen(path, "rb");
    float triple[3];
    if (file == NULL) return 1;
    while (fread(triple, sizeof(float), 3, file) == 3) {
        const float result = bnnpan_fma(triple[0], triple[1], triple[2]);
        fwrite(&result, sizeof result, 1, stdout);
    }
    fclose(file);
    return 0;
}

int main(int count, char **arguments) {
    if (count == 2) return answer(arguments[1]);
    if (count != 3) return 2;
    state = strtoull(arguments[2], NULL, 10);
    return compare(strtol(arguments[1], NULL, 10));
}
