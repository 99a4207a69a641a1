/* DN to network units and back, and detail of the PAN into the bands. Plain loops, which compilers vectorise; each value is rounded the same everywhere. */
#include "../bnnpan.h"
#include "kernels.h"

/* Adding and subtracting 1.5 * 2^23 rounds a float below 2^22 to the nearest whole number, half to even. */
static const float ROUNDING = 12582912.0f;

#define NORMALISE(type)                                                                            \
    static void normalise_##type(const type *restrict dn, bnnpan_scaling scaling,                  \
                                 const float *nodata, float *restrict out, int32_t n) {            \
        for (int32_t i = 0; i < n; i++) out[i] = ((float)dn[i] - scaling.offset) / scaling.scale;  \
        if (nodata == NULL) return;                                                                \
        const float absent = *nodata;                                                              \
        for (int32_t i = 0; i < n; i++) out[i] = (float)dn[i] == absent ? 0.0f : out[i];           \
    }

NORMALISE(uint8_t)
NORMALISE(uint16_t)
NORMALISE(int16_t)
NORMALISE(float)

void BNNPAN_KERNEL(normalise_row)(int32_t sample, const void *dn, bnnpan_scaling scaling, const float *nodata,
                                  float *out, int32_t n) {
    switch (sample) {
    case BNNPAN_UINT8: normalise_uint8_t(dn, scaling, nodata, out, n); break;
    case BNNPAN_UINT16: normalise_uint16_t(dn, scaling, nodata, out, n); break;
    case BNNPAN_INT16: normalise_int16_t(dn, scaling, nodata, out, n); break;
    default: normalise_float(dn, scaling, nodata, out, n); break;
    }
}

#define QUANTISE(type, low, high)                                                                  \
    static void quantise_##type(const float *restrict x, bnnpan_scaling scaling,                   \
                                type *restrict dn, int32_t n) {                                    \
        for (int32_t i = 0; i < n; i++) {                                                          \
            float value = x[i] * scaling.scale + scaling.offset;                                   \
            value = value > (low) ? value : (low); /* also what is not a number */                 \
            value = value < (high) ? value : (high);                                               \
            dn[i] = (type)(int32_t)((value + ROUNDING) - ROUNDING);                                \
        }                                                                                          \
    }

QUANTISE(uint8_t, 0.0f, 255.0f)
QUANTISE(uint16_t, 0.0f, 65535.0f)
QUANTISE(int16_t, -32768.0f, 32767.0f)

static void quantise_float(const float *restrict x, bnnpan_scaling scaling, float *restrict dn, int32_t n) {
    for (int32_t i = 0; i < n; i++) dn[i] = x[i] * scaling.scale + scaling.offset;
}

void BNNPAN_KERNEL(quantise_row)(int32_t sample, const float *x, bnnpan_scaling scaling, void *dn, int32_t n) {
    switch (sample) {
    case BNNPAN_UINT8: quantise_uint8_t(x, scaling, dn, n); break;
    case BNNPAN_UINT16: quantise_uint16_t(x, scaling, dn, n); break;
    case BNNPAN_INT16: quantise_int16_t(x, scaling, dn, n); break;
    default: quantise_float(x, scaling, dn, n); break;
    }
}

void BNNPAN_KERNEL(add_share)(float *restrict row, const float *restrict other, float share, int32_t n) {
    for (int32_t i = 0; i < n; i++) row[i] += share * other[i];
}

void BNNPAN_KERNEL(split_row)(const float *restrict row, float *restrict even, float *restrict odd, int32_t n) {
    for (int32_t j = 0; j < n; j++) {
        even[j] = row[2 * j];
        odd[j] = row[2 * j + 1];
    }
}

void BNNPAN_KERNEL(join_row)(const float *restrict even, const float *restrict odd, float *restrict row, int32_t n) {
    for (int32_t j = 0; j < n; j++) {
        row[2 * j] = even[j];
        row[2 * j + 1] = odd[j];
    }
}
