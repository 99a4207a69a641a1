#include "head.h"

void bnnpan_head_row(void *context, int32_t row, float *x, int32_t stride) {
    const bnnpan_head *head = context;
    const bnnpan_pixel_rows around = bnnpan_image_around(head->image, 2 * row);
    head->kernels->head_rows(&around, &head->filters, x, stride, head->image->width / 2);
}
