#include "head.h"

void bnnpan_head_layout(bnnpan_head *head, bnnpan_arena *arena, const bnnpan_model *model, int32_t height,
                        int32_t width) {
    head->model = model;
    bnnpan_image_layout(&head->image, arena, model->shape.bands, height, width);
    head->even = bnnpan_arena_take(arena, (size_t)width, sizeof(float));
    head->odd = bnnpan_arena_take(arena, (size_t)width, sizeof(float));
}

void bnnpan_head_row(bnnpan_head *head, int32_t row, float *x, int32_t stride) {
    const bnnpan_model *model = head->model;
    const int32_t channels = model->shape.channels, inputs = model->shape.bands + 1;
    const int64_t sub_band = (int64_t)channels * stride;
    for (int32_t y = row == 0 ? -1 : 2 * row + 1; y <= 2 * row + 2; y++) bnnpan_image_load(&head->image, y);
    for (int32_t c = 0; c < channels; c++) {
        const float *weight = model->arrays[BNNPAN_HEAD_WEIGHT] + c * inputs * BNNPAN_TAPS;
        const float bias = model->arrays[BNNPAN_HEAD_BIAS][c];
        bnnpan_image_convolve(&head->image, model->kernels, 2 * row, weight, bias, head->even);
        bnnpan_image_convolve(&head->image, model->kernels, 2 * row + 1, weight, bias, head->odd);
        float *start = x + (int64_t)c * stride;
        float *const sub_bands[4] = {start, start + sub_band, start + 2 * sub_band, start + 3 * sub_band};
        model->kernels->haar_rows(head->even, head->odd, sub_bands, head->image.width / 2);
    }
}
