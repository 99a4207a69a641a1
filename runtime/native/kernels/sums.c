/* The binary convolution by itself, for tests and timings. */
#include "binary_sums.h"

BNNPAN_INLINE void run(const bnnpan_unit *unit, const bnnpan_packed_rows *packed, int32_t *sums, int32_t n,
                       int32_t words) {
    const size_t length = (size_t)bnnpan_row_length(n);
    for (int32_t first = 0; first < n; first += BNNPAN_LANES) {
        const sum_edges edges = find_edges(first, n);
        const int at_edge = touches_edge(first, n);
        filter_reader reader = read_filters(unit);
        sum_neighbours around;
        load_neighbours(&around, packed, words, first);
        for (int32_t c = 0; c < unit->channels; c++) {
            const vfloat sum = sum_of_signs(unit->filters + c, &reader, &around, words, packed->outside,
                                            at_edge ? &edges : NULL);
            w_store((uint32_t *)(void *)(sums + (size_t)c * length + first), w_truncate(sum));
        }
    }
}

void BNNPAN_KERNEL(sums_row)(const bnnpan_unit *unit, const bnnpan_packed_rows *packed, int32_t *sums, int32_t n) {
    switch (unit->words) {
    case 1: run(unit, packed, sums, n, 1); break;
    case 2: run(unit, packed, sums, n, 2); break;
    default: run(unit, packed, sums, n, unit->words); break;
    }
}
