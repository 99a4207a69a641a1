/* Binary 3x3 convolution of one vector of pixels: exact sums of signs times weights, filter after filter.
 *
 * Over the taps inside the window, sum = C * taps - 2 * different bits. A tap outside counts 0, but reads packed zeros
 * (positive signs), so it adds popcount(weight) different bits. What that comes to is known beforehand:
 * `most` = C * (taps inside) + 2 * popcount(weights of the taps outside) for rows outside, and the same surplus,
 * 2 * popcount(weight) - C per tap, in `left` and `right` for the columns. So the loop has no case for the border,
 * and |sum| <= 9 C < 2^24 is exact in float. */
#ifndef BNNPAN_BINARY_SUMS_H
#define BNNPAN_BINARY_SUMS_H

#include "../simd/simd.h"
#include "kernels.h"

/* Most words of a packed pixel: 256 channels. */
enum { BNNPAN_MAX_WORDS = 8 };

typedef struct sum_neighbours {
    vwords word[BNNPAN_MAX_WORDS * BNNPAN_TAPS]; /* (words, 9) */
} sum_neighbours;

/* Which lanes are the first and the last pixel of the row: 1 there, 0 elsewhere. */
typedef struct sum_edges {
    vfloat left, right;
} sum_edges;

BNNPAN_INLINE void load_neighbours(sum_neighbours *around, const bnnpan_packed_rows *packed, int32_t words,
                                   int32_t first) {
    for (int32_t word = 0; word < words; word++)
        for (int32_t tap = 0; tap < BNNPAN_TAPS; tap++)
            around->word[word * BNNPAN_TAPS + tap] = w_load(packed->row[tap / 3] + word * packed->stride +
                                                            BNNPAN_ROW_ALIGNMENT - 1 + first + tap % 3);
}

BNNPAN_INLINE sum_edges find_edges(int32_t first, int32_t n) {
    float left[BNNPAN_LANES], right[BNNPAN_LANES];
    for (int32_t lane = 0; lane < BNNPAN_LANES; lane++) {
        left[lane] = first + lane == 0;
        right[lane] = first + lane == n - 1;
    }
    return (sum_edges){v_load(left), v_load(right)};
}

BNNPAN_INLINE int touches_edge(int32_t first, int32_t n) { return first == 0 || first + BNNPAN_LANES >= n; }

/* Packed words of a vector of pixels into their row; pixel n, if the vector reaches beyond the row, is zero. */
BNNPAN_INLINE void store_marks(uint32_t *row, int32_t stride, int32_t word, int32_t first, int32_t n, vwords marks) {
    uint32_t *pixels = row + word * stride + BNNPAN_ROW_ALIGNMENT;
    w_store(pixels + first, marks);
    if (first + BNNPAN_LANES > n) pixels[n] = 0;
}

/* Filters of a unit one after another. With one word to a pixel, which leaves registers free, the next nine words are
 * loaded before the last ones are used, so that processors which execute in order do not wait for them; nine words
 * behind the last filter may be read. */
typedef struct filter_reader {
    const uint32_t *bits;
    vnine next;
} filter_reader;

BNNPAN_INLINE filter_reader read_filters(const bnnpan_unit *unit) {
    return (filter_reader){unit->bits, n_load(unit->bits)};
}

/* Different bits between the neighbourhood and the next filter. */
BNNPAN_INLINE vwords count_different(const sum_neighbours *around, filter_reader *reader, int32_t words) {
    vwords total = w_set(0);
    for (int32_t first = 0; first < words; first += BNNPAN_COUNT_WORDS) {
        const int32_t last = first + BNNPAN_COUNT_WORDS < words ? first + BNNPAN_COUNT_WORDS : words;
        vcounts counts = c_zero();
        for (int32_t word = first; word < last; word++) {
            const vnine nine = words == 1 ? reader->next : n_load(reader->bits);
            reader->bits += BNNPAN_TAPS;
            if (words == 1) reader->next = n_load(reader->bits);
            counts = c_add9(counts, around->word + word * BNNPAN_TAPS, nine);
        }
        total = first == 0 ? c_total(counts) : w_add(total, c_total(counts));
    }
    return total;
}

/* The exact sum of the next filter; `edges` NULL for a vector that holds neither end of the row. */
BNNPAN_INLINE vfloat sum_of_signs(const bnnpan_filter *filter, filter_reader *reader, const sum_neighbours *around,
                                  int32_t words, int32_t outside, const sum_edges *edges) {
    const vwords different = count_different(around, reader, words);
    vfloat sum = v_fma(w_float(different), v_set(-2.0f), v_set(filter->most[outside]));
    if (edges != NULL) {
        sum = v_fma(edges->left, v_set(filter->left[outside]), sum);
        sum = v_fma(edges->right, v_set(filter->right[outside]), sum);
    }
    return sum;
}

#endif
