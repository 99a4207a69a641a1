#include "image.h"

#include <string.h>

enum { ROWS_AROUND = 4 };

static size_t row_floats(const bnnpan_image *image) { return (size_t)bnnpan_split_floats(image->width / 2); }

static size_t slot_floats(const bnnpan_image *image) { return ((size_t)image->bands + 1) * row_floats(image); }

void bnnpan_image_layout(bnnpan_image *image, bnnpan_arena *arena, int32_t bands, int32_t height, int32_t width,
                         int32_t behind) {
    image->bands = bands;
    image->height = height;
    image->width = width;
    image->slots = behind + ROWS_AROUND;
    image->rows = bnnpan_arena_take(arena, (size_t)image->slots * slot_floats(image), sizeof(float));
    image->outside = bnnpan_arena_take(arena, row_floats(image), sizeof(float));
}

void bnnpan_image_start(bnnpan_image *image, bnnpan_row_reader *reader, void *context) {
    image->reader = reader;
    image->context = context;
    image->loaded = 0;
    memset(image->rows, 0, (size_t)image->slots * slot_floats(image) * sizeof(float));
    memset(image->outside, 0, row_floats(image) * sizeof(float));
}

static float *slot_of(const bnnpan_image *image, int32_t y) {
    return image->rows + (size_t)(y % image->slots) * slot_floats(image);
}

const float *bnnpan_image_row(const bnnpan_image *image, int32_t y) { return slot_of(image, y); }

bnnpan_pixel_rows bnnpan_image_around(bnnpan_image *image, int32_t y) {
    bnnpan_pixel_rows around = {.planes = image->bands + 1};
    for (; image->loaded < image->height && image->loaded <= y + 2; image->loaded++)
        image->reader(image->context, image->loaded, slot_of(image, image->loaded));
    for (int32_t k = 0; k < ROWS_AROUND; k++) {
        const int32_t row = y - 1 + k;
        const int inside = row >= 0 && row < image->height;
        around.row[k] = inside ? slot_of(image, row) : image->outside;
        around.step[k] = inside ? row_floats(image) : 0;
    }
    return around;
}
