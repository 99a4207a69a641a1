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

size_t lce_blocked_filter_words(const lce_convolution *convolution) {
    const int32_t blocks = (convolution->channels_out + LCE_OUTPUT_BLOCK - 1) / LCE_OUTPUT_BLOCK;
    return (size_t)blocks * lce_patch_words(convolution) * LCE_OUTPUT_BLOCK;
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
static int32_t gather_patch(const lce_convolution *convolution, const uint32_t *image, int64_t top, int64_t left) {
    const lce_options *options = &convolution->options;
    const int32_t words = lce_words(options->channels_in);
    uint32_t *patch = convolution->patch, *mask = convolution->mask;
    int32_t taps = 0;
    for (int32_t i = 0; i < convolution->filter_rows; i++)
        for (int32_t j = 0; j < convolution->filter_cols; j++, patch += words, mask += words) {
            const int64_t row = top + (int64_t)i * options->dilation_rows;
            const int64_t col = left + (int64_t)j * options->dilation_cols;
            const bool inside = row >= 0 && row < convolution->rows && col >= 0 && col < convolution->cols;
            const bool counts = inside || options->pad_value == 1;
            const uint32_t *pixel = inside ? image + (row * convolution->cols + col) * words : NULL;
            for (int32_t word = 0; word < words; word++) {
                patch[word] = inside ? pixel[word] : 0;
                mask[word] = counts ? UINT32_MAX : 0;
            }
            taps += counts;
        }
    return taps;
}

/* Set bits of each byte. */
static inline uint32_t count_bits(uint32_t word) {
    word -= (word >> 1) & UINT32_C(0x55555555);
    word = (word & UINT32_C(0x33333333)) + ((word >> 2) & UINT32_C(0x33333333));
    return (word + (word >> 4)) & UINT32_C(0x0f0f0f0f);
}

static inline uint32_t sum_bytes(uint32_t word) {
    word = (word & UINT32_C(0x00ff00ff)) + ((word >> 8) & UINT32_C(0x00ff00ff));
    return (word & UINT32_C(0xffff)) + (word >> 16);
}

/* Different signs between the patch and the filters of one block. */
static void count_different(const lce_convolution *convolution, const uint32_t *filters,
                            uint32_t different[LCE_OUTPUT_BLOCK]) {
    const size_t words = lce_patch_words(convolution);
    memset(different, 0, LCE_OUTPUT_BLOCK * sizeof *different);
    for (size_t first = 0; first < words; first += WORDS_PER_COUNT) {
        const size_t end = words - first < WORDS_PER_COUNT ? words : first + WORDS_PER_COUNT;
        uint32_t counts[LCE_OUTPUT_BLOCK] = {0};
        for (size_t i = first; i < end; i++) {
            const uint32_t *filter = filters + i * LCE_OUTPUT_BLOCK;
            const uint32_t word = convolution->patch[i], mask = convolution->mask[i];
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

static void write_values(const lce_convolution *convolution, const uint32_t *different, int32_t most, int32_t first,
                         float *values) {
    const int32_t left = convolution->channels_out - first, count = left < LCE_OUTPUT_BLOCK ? left : LCE_OUTPUT_BLOCK;
    const float *multiplier = convolution->multiplier + first, *bias = convolution->bias + first;
    for (int32_t k = 0; k < count; k++) {
        const int32_t sum = activate(most - 2 * (int32_t)different[k], convolution->options.activation);
        values[first + k] = (float)sum * multiplier[k] + bias[k];
    }
}

static void write_packed(const lce_convolution *convolution, const uint32_t *different, int32_t first,
                         uint32_t *packed) {
    const int32_t left = convolution->channels_out - first, count = left < LCE_OUTPUT_BLOCK ? left : LCE_OUTPUT_BLOCK;
    for (int32_t k = first; k < first + count; k++) {
        uint32_t *word = packed + k / LCE_WORD_BITS;
        if (k % LCE_WORD_BITS == 0) *word = 0;
        *word |= (uint32_t)((int32_t)different[k - first] > convolution->thresholds[k]) << (k % LCE_WORD_BITS);
    }
}

/* All outputs of one pixel, of whose gathered patch so many taps count. */
static void convolve_patch(const lce_convolution *convolution, int32_t taps, float *values, uint32_t *packed) {
    const size_t filter_words = lce_patch_words(convolution) * LCE_OUTPUT_BLOCK;
    const int32_t most = taps * convolution->options.channels_in;
    const uint32_t *filters = convolution->blocked_filter;
    for (int32_t first = 0; first < convolution->channels_out; first += LCE_OUTPUT_BLOCK, filters += filter_words) {
        uint32_t different[LCE_OUTPUT_BLOCK];
        count_different(convolution, filters, different);
        if (values != NULL) write_values(convolution, different, most, first, values);
        else write_packed(convolution, different, first, packed);
    }
}

void lce_convolve(const lce_convolution *convolution, const uint32_t *input, float *values, uint32_t *packed) {
    const lce_options *options = &convolution->options;
    const size_t image_words =
        (size_t)convolution->rows * (size_t)convolution->cols * (size_t)lce_words(options->channels_in);
    const int64_t above = padding(convolution->rows, convolution->out_rows, options->stride_rows,
                                  extent(convolution->filter_rows, options->dilation_rows), options->valid_padding);
    const int64_t before = padding(convolution->cols, convolution->out_cols, options->stride_cols,
                                   extent(convolution->filter_cols, options->dilation_cols), options->valid_padding);
    for (int32_t batch = 0; batch < convolution->batches; batch++, input += image_words)
        for (int32_t row = 0; row < convolution->out_rows; row++)
            for (int32_t col = 0; col < convolution->out_cols; col++) {
                const int32_t taps = gather_patch(convolution, input, (int64_t)row * options->stride_rows - above,
                                                  (int64_t)col * options->stride_cols - before);
                convolve_patch(convolution, taps, values, packed);
                if (values != NULL) values += convolution->channels_out;
                else packed += lce_words(convolution->channels_out);
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
