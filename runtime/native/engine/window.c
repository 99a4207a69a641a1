#include "window.h"

void bnnpan_window_layout(bnnpan_window *window, bnnpan_arena *arena, const bnnpan_model *model, int32_t height,
                          int32_t width) {
    /* The last block is `blocks` rows of sub-bands, two image rows each, behind the head. */
    bnnpan_image_layout(&window->image, arena, model->shape.bands, height, width, 2 * model->units->blocks);
    window->head = (bnnpan_head){model->kernels, model->head, &window->image};
    bnnpan_trunk_layout(&window->trunk, arena, model->units, height / 2, width / 2);
    bnnpan_tail_layout(&window->tail, arena, &window->image, model->shape.channels);
    window->tail.kernels = model->kernels;
    window->tail.filters = model->tail;
}

void bnnpan_window_run(bnnpan_window *window, const float *affines, int32_t first_row, int32_t last_row,
                       bnnpan_row_reader *reader, bnnpan_row_writer *writer, void *context) {
    window->tail.first_row = first_row;
    window->tail.last_row = last_row;
    /* The tail reads one image row more on either side. */
    window->trunk.first_needed = (first_row - 1) / 2;
    window->trunk.last_needed = (last_row + 1) / 2;
    bnnpan_image_start(&window->image, reader, context);
    bnnpan_tail_start(&window->tail, writer, context);
    bnnpan_trunk_run(&window->trunk, window->trunk.units->blocks, affines, bnnpan_head_row, &window->head,
                     bnnpan_tail_row, &window->tail);
}
