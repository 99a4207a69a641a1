#include "image.h"

#include <string.h>

void bnnpan_image_layout(bnnpan_image *image, bnnpan_arena *arena, int32_t bands, int32_t height, int32_t width) {
    image->bands = bands;
    image->height = height;
    image->width = width;
    const size_t rows = BNNPAN_IMAGE_SLOTS * ((size_t)bands + 1);
    image->rows = bnnpan_arena_take(arena, rows * ((size_t)width + 2), sizeof(float));
}

static float *row_of(const bnnpan_image *image, int32_t y, int32_t input) {
    const int32_t slot = (y + BNNPAN_IMAGE_SLOTS) % BNNPAN_IMAGE_SLOTS;
    return image->rows + (int64_t)(slot * (image->bands + 1) + input) * (image->width + 2);
}

void bnnpan_image_load(bnnpan_image *image, int32_t y) {
    const size_t width = (size_t)image->width;
    const int64_t pixels = (int64_t)image->height * image->width;
    const int inside = y >= 0 && y < image->height;
    for (int32_t input = 0; input <= image->bands; input++) {
        float *row = row_of(image, y, input);
        memset(row, 0, (width + 2) * sizeof(float));
        if (!inside) continue;
        const float *plane = input < image->bands ? image->lms + input * pixels : image->pan;
        memcpy(row + 1, plane + (int64_t)y * image->width, width * sizeof(float));
    }
}

void bnnpan_image_convolve(const bnnpan_image *image, const bnnpan_kernels *kernels, int32_t y, const float *weight,
                           float bias, float *out) {
    for (int32_t x = 0; x < image->width; x++) out[x] = bias;
    for (int32_t input = 0; input <= image->bands; input++) {
        const float *const rows[3] = {row_of(image, y - 1, input), row_of(image, y, input),
                                      row_of(image, y + 1, input)};
        kernels->conv3x3_row(out, rows, weight + input * BNNPAN_TAPS, image->width);
    }
}
