#include "planes.h"

static size_t place_of(const bnnpan_planes *planes, int32_t plane, int32_t y) {
    return ((size_t)plane * (size_t)planes->height + (size_t)y) * (size_t)planes->width;
}

bnnpan_planes bnnpan_planes_at(const bnnpan_planes *first, int32_t index) {
    bnnpan_planes planes = *first;
    planes.pan += place_of(first, 1, 0) * (size_t)index;
    planes.lms += place_of(first, first->bands, 0) * (size_t)index;
    return planes;
}

void bnnpan_planes_read(void *context, int32_t y, float *rows) {
    const bnnpan_planes *planes = context;
    const int32_t n = planes->width / 2;
    for (int32_t plane = 0; plane <= planes->bands; plane++) {
        const float *source = plane < planes->bands ? planes->lms + place_of(planes, plane, y)
                                                    : planes->pan + place_of(planes, 0, y);
        float *row = rows + (size_t)plane * (size_t)bnnpan_split_floats(n);
        planes->kernels->split_row(source, bnnpan_even(row), bnnpan_odd(row, n), n);
    }
}

void bnnpan_planes_write(void *context, int32_t y, const float *rows) {
    const bnnpan_planes *planes = context;
    const int32_t n = planes->width / 2;
    for (int32_t band = 0; band < planes->bands; band++) {
        const float *row = rows + (size_t)band * (size_t)bnnpan_split_floats(n);
        planes->kernels->join_row(bnnpan_read_even(row), bnnpan_read_odd(row, n),
                                  planes->out + place_of(planes, band, y), n);
    }
}
