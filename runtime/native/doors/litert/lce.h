/* The operators of Larq Compute Engine (LCE) on plain arrays: reference kernels for any shape and option.
 *
 * Signs are packed along the channels, 32 to a word, channel i in bit i % 32 of word i / 32; 1 is negative, and
 * sign(0) = +1. Tensors are channels last. Source of the conventions: github.com/larq/compute-engine (Apache-2.0),
 * `larq_compute_engine/core` and `tflite/kernels`. */
#ifndef BNNPAN_LITERT_LCE_H
#define BNNPAN_LITERT_LCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LCE_WORD_BITS = 32, LCE_OUTPUT_BLOCK = 16 };

/* Largest sizes taken: with them no sum of signs and no number of words reaches the limits of int32_t. */
enum { LCE_MAX_CHANNELS = 1 << 20, LCE_MAX_PATCH_WORDS = 1 << 24 };

typedef enum lce_operator { LCE_NONE, LCE_QUANTIZE, LCE_DEQUANTIZE, LCE_BCONV } lce_operator;

/* Options of LceBconv2d as they stand in the file. */
typedef struct lce_options {
    int32_t channels_in;
    int32_t stride_rows, stride_cols, dilation_rows, dilation_cols;
    int32_t valid_padding; /* 0: SAME, 1: VALID */
    int32_t pad_value;     /* what SAME pads with: 0, or 1 as if there were positive signs */
    int32_t activation;    /* LITERT_LINEAR and so on, applied to the sum of signs */
} lce_options;

/* One binary convolution, sizes included; what it points to outlives it. */
typedef struct lce_convolution {
    lce_options options;
    int32_t batches, rows, cols, channels_out;
    int32_t filter_rows, filter_cols;
    int32_t out_rows, out_cols;
    const uint32_t *blocked_filter; /* lce_block_filter */
    const float *multiplier, *bias; /* (channels_out), for float output */
    const int32_t *thresholds;      /* (channels_out), for packed output: 1 where more signs differ */
    uint32_t *patch, *mask;         /* scratch, lce_patch_words each */
} lce_convolution;

static inline int32_t lce_words(int32_t channels) { return (channels + LCE_WORD_BITS - 1) / LCE_WORD_BITS; }

lce_operator lce_operator_of(const char *custom_name);

/* False when an option is missing or not an integer. */
bool lce_read_options(const void *flexbuffer, size_t size, lce_options *options);

/* What of the options these kernels cannot do, or NULL. */
const char *lce_unsupported(const lce_options *options, bool packed_output);

/* Rows and columns of the output from those of input and filter; false when there is none. */
bool lce_size_output(lce_convolution *convolution);

/* Words of one patch of the input, and of a filter. */
size_t lce_patch_words(const lce_convolution *convolution);

/* filter (channels_out, rows, cols, words) to (channels_out / LCE_OUTPUT_BLOCK, rows, cols, words,
 * LCE_OUTPUT_BLOCK), the last block filled with zeros. */
size_t lce_blocked_filter_words(const lce_convolution *convolution);
void lce_block_filter(const lce_convolution *convolution, const uint32_t *filter, uint32_t *blocked);

/* Exactly one of the outputs is given: float (batches, out_rows, out_cols, channels_out), or packed. */
void lce_convolve(const lce_convolution *convolution, const uint32_t *input, float *values, uint32_t *packed);

void lce_quantize(const float *values, uint32_t *packed, size_t pixels, int32_t channels);
void lce_dequantize(const uint32_t *packed, float *values, size_t pixels, int32_t channels);

#endif
