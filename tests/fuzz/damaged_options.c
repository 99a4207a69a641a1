/* Damaged options of LceBconv2d, from a file: read without a step outside them, and run where they can be.
 *
 * damaged_options FILE COUNT: prints how many could be read and how many convolutions ran. */
#include "doors/litert/lce.h"
#include "fuzz_input.h"

enum { MOST_BYTES = 4096, MOST_CHANNELS = 300 };

static uint32_t below(input *in, uint32_t limit) { return noise_word(in) % limit; }

/* A copy of exactly its own length, some bytes of which are others, some of the end missing. */
static buffer damaged(input *in, const buffer *whole) {
    const size_t length = below(in, 4) == 0 ? below(in, (uint32_t)whole->bytes + 1) : whole->bytes;
    const buffer copy = take(length, 0);
    memcpy(copy.at, whole->at, length);
    for (uint32_t changes = length > 0 ? below(in, 4) : 0; changes > 0; changes--)
        copy.at[below(in, (uint32_t)length)] = (unsigned char)below(in, 256);
    return copy;
}

static buffer words(input *in, size_t count) {
    const buffer made = take(4 * count, 0);
    for (size_t i = 0; i < made.bytes; i++) made.at[i] = (unsigned char)below(in, 256);
    return made;
}

static int convolve(input *in, const lce_options *options) {
    const int packed = below(in, 2) == 0;
    lce_convolution done = {.options = *options};
    if (lce_unsupported(options, packed) != NULL || options->channels_in > MOST_CHANNELS) return 0;
    done.batches = 1 + (int32_t)below(in, 2), done.channels_out = 1 + (int32_t)below(in, 40);
    done.rows = 1 + (int32_t)below(in, 6), done.cols = 1 + (int32_t)below(in, 6);
    done.filter_rows = 1 + (int32_t)below(in, 4), done.filter_cols = 1 + (int32_t)below(in, 4);
    if (!lce_size_output(&done)) return 0;
    const size_t pixels = (size_t)done.batches * (size_t)done.rows * (size_t)done.cols;
    const size_t outputs = (size_t)done.batches * (size_t)done.out_rows * (size_t)done.out_cols;
    const size_t channels = (size_t)done.channels_out, patch = lce_patch_words(&done);
    buffer image = words(in, pixels * (size_t)lce_words(options->channels_in));
    buffer filter = words(in, patch * channels), blocked = take(4 * lce_blocked_filter_words(&done), 0);
    buffer scratch = take(8 * patch, 0), per_channel = take(12 * channels, 0);
    memset(per_channel.at, 0, per_channel.bytes);
    lce_block_filter(&done, (const uint32_t *)(void *)filter.at, (uint32_t *)(void *)blocked.at);
    done.blocked_filter = (const uint32_t *)(void *)blocked.at;
    done.patch = (uint32_t *)(void *)scratch.at, done.mask = done.patch + patch;
    done.multiplier = (const float *)(void *)per_channel.at, done.bias = done.multiplier + channels;
    done.thresholds = (const int32_t *)(void *)per_channel.at + 2 * channels;
    buffer out = take(4 * outputs * (packed ? (size_t)lce_words(done.channels_out) : channels), 0);
    lce_convolve(&done, (const uint32_t *)(void *)image.at, packed ? NULL : (float *)(void *)out.at,
                 packed ? (uint32_t *)(void *)out.at : NULL);
    buffer *all[] = {&image, &filter, &blocked, &scratch, &per_channel, &out};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) release(all[i]);
    return 1;
}

int main(int count, char **arguments) {
    FILE *file = count == 3 ? fopen(arguments[1], "rb") : NULL;
    if (file == NULL) return 2;
    buffer whole = take(MOST_BYTES, 0);
    whole.bytes = fread(whole.at, 1, MOST_BYTES, file);
    fclose(file);
    input in = {.noise = 1};
    long read = 0, ran = 0;
    for (long left = strtol(arguments[2], NULL, 10); left > 0; left--) {
        buffer options_bytes = damaged(&in, &whole);
        lce_options options = {0};
        const bool readable = lce_read_options(options_bytes.at, options_bytes.bytes, &options);
        read += readable;
        ran += readable && convolve(&in, &options);
        release(&options_bytes);
    }
    whole.bytes = MOST_BYTES;
    release(&whole);
    printf("read %ld ran %ld\n", read, ran);
    return 0;
}
