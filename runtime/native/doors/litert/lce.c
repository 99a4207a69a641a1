#include "lce.h"

#include <string.h>

#include "abi.h"
#include "flexbuffer.h"

/* Most words whose set bits, 8 to a byte, fit a counter of one byte. */
enum { WORDS_PER_COUNT = 31 };

lce_operator lce_operator_of(const char *custom_name) {
    if (custom_name == NULL) return LCE_NONE;
    if (strcmp(custom_name, "LceQuantize") == 0) return LCE_QUANTIZE;
    if (strcmp(custom_name, "LceDequantize") == 0) return LCE_DEQUANTIZE;
    if (strcmp(custom_name, "LceBconv2d") == 0) return LCE_BCONV;
    return LCE_NONE;
}

bool lce_read_options(const void *flexbuffer, size_t size, lce_options *options) {
    const struct {
        const char *key;
        int32_t *value;
    } fields[] = {
        {"channels_in", &options->channels_in},
        {"stride_height", &options->stride_rows},
        {"stride_width", &options->stride_cols},
        {"dilation_height_factor", &options->dilation_rows},
        {"dilation_width_factor", &options->dilation_cols},
        {"padding", &options->valid_padding},
        {"pad_values", &options->pad_value},
        {"fused_activation_function", &options->activation},
    };
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
        if (!litert_flexbuffer_integer(flexbuffer, size, fields[i].key, fields[i].value)) return false;
    return true;
}

const char *lce_unsupported(const lce_options *options, bool packed_output) {
    if (options->channels_in < 1 || options->channels_in > LCE_MAX_CHANNELS) return "this number of input channels";
    if (options->stride_rows < 1 || options->stride_cols < 1) return "stride below 1";
    if (options->dilation_rows < 1 || options->dilation_cols < 1) return "dilation below 1";
    if (options->valid_padding != 0 && options->valid_padding != 1) return "padding other than SAME and VALID";
    if (options->pad_value != 0 && options->pad_value != 1) return "padding with other values than 0 and 1";
    if (options->activation < LITERT_LINEAR || options->activation > LITERT_RELU6) return "this fused activation";
    if (packed_output && options->valid_padding == 0 && options->pad_value == 0)
        return "packed output with zero padding";
    return NULL;
}

/* Rows or columns of the filter, dilated. */
static int64_t extent(int32_t taps, int32_t dilation) { return (int64_t)(taps - 1) * dilation + 1; }

static int32_t output_size(int32_t size, int32_t stride, int64_t reach, int32_t valid) {
    if (!valid) return (int32_t)(((int64_t)size + stride - 1) / stride);
    return size < reach ? 0 : (int32_t)((size - reach) / stride + 1);
}

bool lce_size_output(lce_convolution *convolution) {
    const lce_options *options = &convolution->options;
    const int64_t high = extent(convolution->filter_rows, options->dilation_rows);
    const int64_t wide = extent(convolution->filter_cols, options->dilation_cols);
    convolution->out_rows = output_size(convolution->rows, options->stride_rows, high, options->valid_padding);
    convolution->out_cols = output_size(convolution->cols, options->stride_cols, wide, options->valid_padding);
    return convolution->out_rows > 0 && convolution->out_cols > 0;
}

/* Rows or columns that SAME padding adds in front. */
static int64_t padding(int32_t size, int32_t out_size, int32_t stride, int64_t reach, int32_t valid) {
    const int64_t total = (int64_t)(out_size - 1) * stride + reach - size;
    return valid || total < 0 ? 0 : total / 2;
}

size_t lce_patch_words(const lce_convolution *convolution) {
    return (size_t)convolution->filter_rows * (size_t)convolution->filter_cols *
           (size_t)lce_words(convolution->options.channels_in);
}

static int32_t output_blocks(const lce_convolution *convolution) {
    return (convolution->channels_out + LCE_OUTPUT_BLOCK - 1) / LCE_OUTPUT_BLOCK;
}

size_t lce_blocked_filter_words(const lce_convolution *convolution) {
    return (size_t)output_blocks(convolution) * lce_patch_words(convolution) * LCE_OUTPUT_BLOCK;
}

void lce_block_filter(const lce_convolution *convolution, const uint32_t *filter, uint32_t *blocked) {
    const size_t words = lce_patch_words(convolution);
    memset(blocked, 0, lce_blocked_filter_words(convolution) * sizeof *blocked);
    for (size_t k = 0; k < (size_t)convolution->channels_out; k++)
        for (size_t i = 0; i < words; i++)
            blocked[(k / LCE_OUTPUT_BLOCK * words + i) * LCE_OUTPUT_BLOCK + k % LCE_OUTPUT_BLOCK] =
                filter[k * words + i];
}

/* Copies the input words under the filter at one output pixel; taps outside read positive signs, and are masked
 * where the padding is zero. Returns the number of taps that count. */
static int32_t gather_patch(const lce_convolution *c, const uint32_t *image, int64_t row, int64_t col) {
    const int32_t words = lce_words(c->options.channels_in);
    uint32_t *patch = c->patch, *mask = c->mask;
    int32_t taps = 0;
    for (int32_t i = 0; i < c->filter_rows; i++)
        for (int32_t j = 0; j < c->filter_cols; j++, patch += words, mask += words) {
            const int64_t y = row + (int64_t)i * c->options.dilation_rows;
            const int64_t x = col + (int64_t)j * c->options.dilation_cols;
            const bool inside = y >= 0 && y < c->rows && x >= 0 && x < c->cols;
            const bool counts = inside || c->options.pad_value == 1;
            const uint32_t *pixel = inside ? image + (y * c->cols + x) * words : NULL;
            for (int32_t w = 0; w < words; w++) {
                patch[w] = inside ? pixel[w] : 0;
                mask[w] = counts ? UINT32_MAX : 0;
            }
            taps += counts;
        }
    return taps;
}

/* Set bits of each byte. */
static inline uint32_t count_bits(uint32_t v) {
    v -= (v >> 1) & UINT32_C(0x55555555);
    v = (v & UINT32_C(0x33333333)) + ((v >> 2) & UINT32_C(0x33333333));
    return (v + (v >> 4)) & UINT32_C(0x0f0f0f0f);
}

static inline uint32_t sum_bytes(uint32_t v) {
    v = (v & UINT32_C(0x00ff00ff)) + ((v >> 8) & UINT32_C(0x00ff00ff));
    return (v & UINT32_C(0xffff)) + (v >> 16);
}

/* Different signs between the patch and the filters of one block. */
static void count_different(const lce_convolution *c, const uint32_t *filters, uint32_t different[LCE_OUTPUT_BLOCK]) {
    const size_t words = lce_patch_words(c);
    memset(different, 0, LCE_OUTPUT_BLOCK * sizeof *different);
    for (size_t first = 0; first < words; first += WORDS_PER_COUNT) {
        const size_t end = words - first < WORDS_PER_COUNT ? words : first + WORDS_PER_COUNT;
        uint32_t counts[LCE_OUTPUT_BLOCK] = {0};
        for (size_t i = first; i < end; i++) {
            const uint32_t *filter = filters + i * LCE_OUTPUT_BLOCK;
            const uint32_t word = c->patch[i], mask = c->mask[i];
            for (int k = 0; k < LCE_OUTPUT_BLOCK; k++) counts[k] += count_bits((word ^ filter[k]) & mask);
        }
        for (int k = 0; k < LCE_OUTPUT_BLOCK; k++) different[k] += sum_bytes(counts[k]);
    }
}

static int32_t activate(int32_t sum, int32_t activation) {
    const int32_t low = activation == LITERT_LINEAR ? INT32_MIN : activation == LITERT_RELU_N1_TO_1 ? -1 : 0;
    const int32_t high = activation == LITERT_RELU6 ? 6 : activation == LITERT_RELU_N1_TO_1 ? 1 : INT32_MAX;
    return sum < low ? low : sum > high ? high : sum;
}

static void write_values(const lce_convolution *c, const uint32_t *different, int32_t most, int32_t first,
                         float *values) {
    const int32_t left = c->channels_out - first, count = left < LCE_OUTPUT_BLOCK ? left : LCE_OUTPUT_BLOCK;
    const float *multiplier = c->multiplier + first, *bias = c->bias + first;
    for (int32_t k = 0; k < count; k++) {
        const int32_t sum = activate(most - 2 * (int32_t)different[k], c->options.activation);
        values[first + k] = (float)sum * multiplier[k] + bias[k];
    }
}

static void write_packed(const lce_convolution *c, const uint32_t *different, int32_t first, uint32_t *packed) {
    const int32_t left = c->channels_out - first, count = left < LCE_OUTPUT_BLOCK ? left : LCE_OUTPUT_BLOCK;
    for (int32_t k = first; k < first + count; k++) {
        uint32_t *word = packed + k / LCE_WORD_BITS;
        if (k % LCE_WORD_BITS == 0) *word = 0;
        *word |= (uint32_t)((int32_t)different[k - first] > c->thresholds[k]) << (k % LCE_WORD_BITS);
    }
}

void lce_convolve(const lce_convolution *c, const uint32_t *input, float *values, uint32_t *packed) {
    const lce_options *options = &c->options;
    const size_t words = (size_t)lce_words(options->channels_in), patch_words = lce_patch_words(c);
    const int64_t top = padding(c->rows, c->out_rows, options->stride_rows,
                                extent(c->filter_rows, options->dilation_rows), options->valid_padding);
    const int64_t left = padding(c->cols, c->out_cols, options->stride_cols,
                                 extent(c->filter_cols, options->dilation_cols), options->valid_padding);
    for (int32_t batch = 0; batch < c->batches; batch++) {
        const uint32_t *image = input + (size_t)batch * (size_t)c->rows * (size_t)c->cols * words;
        for (int32_t row = 0; row < c->out_rows; row++)
            for (int32_t col = 0; col < c->out_cols; col++) {
                const int32_t taps = gather_patch(c, image, (int64_t)row * options->stride_rows - top,
                                                  (int64_t)col * options->stride_cols - left);
                for (int32_t block = 0; block < output_blocks(c); block++) {
                    const int32_t first = block * LCE_OUTPUT_BLOCK;
                    uint32_t different[LCE_OUTPUT_BLOCK];
                    count_different(c, c->blocked_filter + (size_t)first * patch_words, different);
                    if (values != NULL) write_values(c, different, taps * options->channels_in, first, values);
                    else write_packed(c, different, first, packed);
                }
                if (values != NULL) values += c->channels_out;
                else packed += lce_words(c->channels_out);
            }
    }
}

void lce_quantize(const float *values, uint32_t *packed, size_t pixels, int32_t channels) {
    for (size_t pixel = 0; pixel < pixels; pixel++, values += channels)
        for (int32_t first = 0; first < channels; first += LCE_WORD_BITS) {
            const int32_t left = channels - first, count = left < LCE_WORD_BITS ? left : LCE_WORD_BITS;
            uint32_t word = 0;
            for (int32_t bit = 0; bit < count; bit++) word |= (uint32_t)(values[first + bit] < 0.0f) << bit;
            *packed++ = word;
        }
}

void lce_dequantize(const uint32_t *packed, float *values, size_t pixels, int32_t channels) {
    for (size_t pixel = 0; pixel < pixels; pixel++, packed += lce_words(channels))
        for (int32_t i = 0; i < channels; i++)
            *values++ = packed[i / LCE_WORD_BITS] >> (i % LCE_WORD_BITS) & 1 ? -1.0f : 1.0f;
}
