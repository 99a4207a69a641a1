/* The window's pixels [LMS, PAN] in network units as split rows (kernels/rows.h): what the head convolves, and what
 * the tail adds its detail to. A ring of rows, filled in order by a reader. */
#ifndef BNNPAN_IMAGE_H
#define BNNPAN_IMAGE_H

#include "../engine/arena.h"
#include "../kernels/kernels.h"

/* Fills the split rows (bands + 1, bnnpan_split_floats) of image row y with values at the n even and n odd columns;
 * the zeros around them are there already. Rows are asked for in order. */
typedef void bnnpan_row_reader(void *context, int32_t y, float *rows);

typedef struct bnnpan_image {
    int32_t bands, height, width;
    int32_t slots;  /* image rows kept */
    float *rows;    /* (slots, bands + 1, bnnpan_split_floats) */
    float *outside; /* one split row of zeros */
    bnnpan_row_reader *reader;
    void *context;
    int32_t loaded; /* rows read */
} bnnpan_image;

/* Keeps `behind` rows above the two that the head is asked for. */
void bnnpan_image_layout(bnnpan_image *image, bnnpan_arena *arena, int32_t bands, int32_t height, int32_t width,
                         int32_t behind);

void bnnpan_image_start(bnnpan_image *image, bnnpan_row_reader *reader, void *context);

/* Rows y - 1 to y + 2, reading what is missing; `y` grows from call to call. */
bnnpan_pixel_rows bnnpan_image_around(bnnpan_image *image, int32_t y);

/* Split rows (bands + 1, ...) of image row y, which is still kept. */
const float *bnnpan_image_row(const bnnpan_image *image, int32_t y);

#endif
