/* Float 3x3 convolution of split pixel rows, two rows of 2n columns at a time: each vector of n is a vector of 2 x 2
 * cells, whose 16 neighbours are whole vectors, and each weight read serves four outputs. Per output the sum starts
 * from the bias and runs over planes and taps in order, fused multiply-adds. */
#include "../simd/simd.h"
#include "kernels.h"

enum { CELL = 4, ROWS = 4, COLUMNS = 4 };

/* Filters at a time: their cells and four neighbours stay in registers. With NEON four would leave none to load ahead
 * into, which costs cores that execute in order a quarter (llvm-mca, Cortex-A53), and gains others nothing. */
enum { FILTERS = BNNPAN_LANES >= 16 ? 4 : 2 };

typedef struct cell_sums {
    vfloat sum[FILTERS][CELL]; /* (even row, even column), (even, odd), (odd, even), (odd, odd) */
} cell_sums;

/* Columns 2j - 1 to 2j + 2 of split row. */
BNNPAN_INLINE vfloat column(const float *row, int32_t half, int32_t j, int32_t k) {
    const int32_t start[COLUMNS] = {half - 1, 0, half, 1};
    return v_load(row + start[k] + BNNPAN_ROW_ALIGNMENT + j);
}

BNNPAN_INLINE void add_tap(cell_sums *cells, const bnnpan_pixel_rows *rows, int32_t plane, const float *weight,
                           size_t filter_step, int32_t filters, int32_t tap, int32_t half, int32_t j) {
    vfloat pixel[CELL];
    for (int32_t i = 0; i < CELL; i++) {
        const int32_t row = tap / 3 + i / 2;
        pixel[i] = column(rows->row[row] + (size_t)plane * rows->step[row], half, j, tap % 3 + i % 2);
    }
    for (int32_t f = 0; f < filters; f++) {
        const vfloat w = v_set(weight[(size_t)f * filter_step + (size_t)(plane * BNNPAN_TAPS + tap)]);
        for (int32_t i = 0; i < CELL; i++) cells->sum[f][i] = v_fma(pixel[i], w, cells->sum[f][i]);
    }
}

/* `filters` of them, from the first at `output`. */
BNNPAN_INLINE cell_sums convolve(const bnnpan_pixel_rows *rows, const bnnpan_filters *filters, int32_t output,
                                 int32_t count, int32_t half, int32_t j) {
    const size_t step = (size_t)rows->planes * BNNPAN_TAPS;
    const float *weight = filters->weight + (size_t)output * step;
    cell_sums cells;
    for (int32_t f = 0; f < count; f++)
        for (int32_t i = 0; i < CELL; i++) cells.sum[f][i] = v_set(filters->bias[output + f]);
    for (int32_t plane = 0; plane < rows->planes; plane++) {
        add_tap(&cells, rows, plane, weight, step, count, 0, half, j);
        add_tap(&cells, rows, plane, weight, step, count, 1, half, j);
        add_tap(&cells, rows, plane, weight, step, count, 2, half, j);
        add_tap(&cells, rows, plane, weight, step, count, 3, half, j);
        add_tap(&cells, rows, plane, weight, step, count, 4, half, j);
        add_tap(&cells, rows, plane, weight, step, count, 5, half, j);
        add_tap(&cells, rows, plane, weight, step, count, 6, half, j);
        add_tap(&cells, rows, plane, weight, step, count, 7, half, j);
        add_tap(&cells, rows, plane, weight, step, count, 8, half, j);
    }
    return cells;
}

BNNPAN_INLINE void store_sub_bands(const cell_sums *cells, int32_t count, float *x, size_t sub_band, int32_t stride) {
    for (int32_t f = 0; f < count; f++) {
        const vfloat *cell = cells->sum[f];
        const vfloat top = v_add(cell[0], cell[1]), top_step = v_sub(cell[0], cell[1]);
        const vfloat bottom = v_add(cell[2], cell[3]), bottom_step = v_sub(cell[2], cell[3]);
        float *place = x + (size_t)f * (size_t)stride;
        v_store(place, v_add(top, bottom));
        v_store(place + sub_band, v_sub(top, bottom));
        v_store(place + 2 * sub_band, v_add(top_step, bottom_step));
        v_store(place + 3 * sub_band, v_sub(top_step, bottom_step));
    }
}

void BNNPAN_KERNEL(head_rows)(const bnnpan_pixel_rows *rows, const bnnpan_filters *filters, float *x, int32_t stride,
                              int32_t n) {
    const int32_t half = bnnpan_half_floats(n), outputs = filters->outputs;
    const size_t sub_band = (size_t)outputs * (size_t)stride;
    for (int32_t j = 0; j < n; j += BNNPAN_LANES) {
        int32_t output = 0;
        for (; output + FILTERS <= outputs; output += FILTERS) {
            const cell_sums cells = convolve(rows, filters, output, FILTERS, half, j);
            store_sub_bands(&cells, FILTERS, x + (size_t)output * (size_t)stride + j, sub_band, stride);
        }
        for (; output < outputs; output++) {
            const cell_sums cells = convolve(rows, filters, output, 1, half, j);
            store_sub_bands(&cells, 1, x + (size_t)output * (size_t)stride + j, sub_band, stride);
        }
    }
}

BNNPAN_INLINE void store_rows(const cell_sums *cells, int32_t count, float *even, float *odd, int32_t half) {
    for (int32_t f = 0; f < count; f++) {
        float *const above = even + (size_t)f * 2 * (size_t)half, *const below = odd + (size_t)f * 2 * (size_t)half;
        v_store(above, cells->sum[f][0]);
        v_store(above + half, cells->sum[f][1]);
        v_store(below, cells->sum[f][2]);
        v_store(below + half, cells->sum[f][3]);
    }
}

void BNNPAN_KERNEL(convolve_rows)(const bnnpan_pixel_rows *rows, const bnnpan_filters *filters, float *even,
                                  float *odd, int32_t n) {
    const int32_t half = bnnpan_half_floats(n), outputs = filters->outputs;
    for (int32_t j = 0; j < n; j += BNNPAN_LANES) {
        int32_t output = 0;
        for (; output + FILTERS <= outputs; output += FILTERS) {
            const size_t place = (size_t)output * 2 * (size_t)half + BNNPAN_ROW_ALIGNMENT + (size_t)j;
            const cell_sums cells = convolve(rows, filters, output, FILTERS, half, j);
            store_rows(&cells, FILTERS, even + place, odd + place, half);
        }
        for (; output < outputs; output++) {
            const size_t place = (size_t)output * 2 * (size_t)half + BNNPAN_ROW_ALIGNMENT + (size_t)j;
            const cell_sums cells = convolve(rows, filters, output, 1, half, j);
            store_rows(&cells, 1, even + place, odd + place, half);
        }
    }
}
