#include "tail.h"

#include <string.h>

enum { SLOTS = 4 }; /* a new pair of rows, and the pair before it */

static size_t row_floats(const bnnpan_tail *tail) { return (size_t)bnnpan_split_floats(tail->width / 2); }

static size_t slot_floats(const bnnpan_tail *tail) { return (size_t)tail->channels * row_floats(tail); }

static size_t result_floats(const bnnpan_tail *tail) { return (size_t)tail->image->bands * row_floats(tail); }

void bnnpan_tail_layout(bnnpan_tail *tail, bnnpan_arena *arena, const bnnpan_image *image, int32_t channels) {
    tail->image = image;
    tail->channels = channels;
    tail->height = image->height;
    tail->width = image->width;
    tail->first_row = 0;
    tail->last_row = image->height - 1;
    tail->rows = bnnpan_arena_take(arena, SLOTS * slot_floats(tail), sizeof(float));
    tail->outside = bnnpan_arena_take(arena, row_floats(tail), sizeof(float));
    tail->result = bnnpan_arena_take(arena, 2 * result_floats(tail), sizeof(float));
}

void bnnpan_tail_start(bnnpan_tail *tail, bnnpan_row_writer *writer, void *context) {
    tail->writer = writer;
    tail->context = context;
    memset(tail->rows, 0, SLOTS * slot_floats(tail) * sizeof(float));
    memset(tail->outside, 0, row_floats(tail) * sizeof(float));
}

static float *slot_of(const bnnpan_tail *tail, int32_t y) {
    return tail->rows + (size_t)(y % SLOTS) * slot_floats(tail);
}

static bnnpan_pixel_rows rows_around(const bnnpan_tail *tail, int32_t y) {
    bnnpan_pixel_rows around = {.planes = tail->channels};
    for (int32_t k = 0; k < 4; k++) {
        const int32_t row = y - 1 + k;
        const int inside = row >= 0 && row < tail->height;
        around.row[k] = inside ? slot_of(tail, row) : tail->outside;
        around.step[k] = inside ? row_floats(tail) : 0;
    }
    return around;
}

static void write(const bnnpan_tail *tail, int32_t y, float *rows) {
    if (y < tail->first_row || y > tail->last_row) return;
    const float *lms = bnnpan_image_row(tail->image, y);
    const size_t count = result_floats(tail);
    for (size_t i = 0; i < count; i++) rows[i] += lms[i];
    tail->writer(tail->context, y, rows);
}

/* Image rows y and y + 1, of which the first or the last may lie outside. */
static void write_pair(const bnnpan_tail *tail, int32_t y) {
    if (y + 1 < tail->first_row || y > tail->last_row) return;
    const bnnpan_pixel_rows around = rows_around(tail, y);
    float *const even = tail->result, *const odd = even + result_floats(tail);
    tail->kernels->convolve_rows(&around, &tail->filters, even, odd, tail->width / 2);
    write(tail, y, even);
    write(tail, y + 1, odd);
}

void bnnpan_tail_row(void *context, int32_t row, const float *x, int32_t stride) {
    const bnnpan_tail *tail = context;
    const size_t sub_band = (size_t)tail->channels * (size_t)stride;
    for (int32_t c = 0; c < tail->channels; c++) {
        const float *start = x + (size_t)c * (size_t)stride;
        const float *const sub_bands[4] = {start, start + sub_band, start + 2 * sub_band, start + 3 * sub_band};
        const size_t place = (size_t)c * row_floats(tail);
        tail->kernels->inverse_haar_rows(sub_bands, slot_of(tail, 2 * row) + place, slot_of(tail, 2 * row + 1) + place,
                                         tail->width / 2);
    }
    write_pair(tail, 2 * row - 1);
    if (2 * row + 2 == tail->height) write_pair(tail, 2 * row + 1);
}
