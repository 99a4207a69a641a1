/* Normalised binary convolution (Eq. 3 to 6 of the paper) and the frozen affine, one row of one sub-band in place:
 * binary convolution -> RPReLU -> normalised to the per-pixel channel statistics of the input, plus the input.
 *
 * A vector of pixels stays in the first-level cache from its neighbourhood's bits to its new values and their bits. */
#include "binary_sums.h"

static const float VARIANCE_EPSILON = 1e-6f;

typedef struct pixel_statistics {
    vfloat mean_x, mean_v; /* over the channels of a pixel */
    vfloat gain;           /* deviation of x over that of v */
} pixel_statistics;

typedef struct nbc_job {
    const bnnpan_unit *unit;
    const bnnpan_output *output;
    const bnnpan_packed_rows *packed;
    const bnnpan_packing *packing;
    float *x;
    float *v; /* (C, BNNPAN_ROW_ALIGNMENT) activated convolution */
    int32_t stride, n;
} nbc_job;

/* Filter after filter: convolution and RPReLU into v, sums over the channels. */
BNNPAN_INLINE pixel_statistics activate(const nbc_job *job, int32_t first, int32_t words, const sum_edges *edges) {
    const bnnpan_unit *unit = job->unit;
    sum_neighbours around;
    vfloat sum_x = v_zero(), sum_v = v_zero();
    load_neighbours(&around, job->packed, words, first);
    for (int32_t c = 0; c < unit->channels; c++) {
        const vfloat sum = sum_of_signs(unit, &around, words, c, job->packed->outside, edges);
        const vfloat u = v_fma(sum, v_set(unit->scale[c]), v_set(unit->minus_gamma[c]));
        const vfloat v = v_add(v_rectify(u, v_mul(u, v_set(unit->beta[c]))), v_set(unit->zeta[c]));
        v_store(job->v + c * BNNPAN_ROW_ALIGNMENT, v);
        sum_v = v_add(sum_v, v);
        sum_x = v_add(sum_x, v_load(job->x + (size_t)c * (size_t)job->stride + first));
    }
    const vfloat count = v_set((float)unit->channels);
    return (pixel_statistics){v_div(sum_x, count), v_div(sum_v, count), v_zero()};
}

BNNPAN_INLINE vfloat gain_of(const nbc_job *job, const pixel_statistics *statistics, int32_t first) {
    const int32_t channels = job->unit->channels;
    vfloat square_x = v_zero(), square_v = v_zero();
    for (int32_t c = 0; c < channels; c++) {
        const vfloat x = v_sub(v_load(job->x + (size_t)c * (size_t)job->stride + first), statistics->mean_x);
        const vfloat v = v_sub(v_load(job->v + c * BNNPAN_ROW_ALIGNMENT), statistics->mean_v);
        square_x = v_fma(x, x, square_x);
        square_v = v_fma(v, v, square_v);
    }
    const vfloat count = v_set((float)channels), epsilon = v_set(VARIANCE_EPSILON);
    const vfloat variance_x = v_add(v_div(square_x, count), epsilon);
    return v_sqrt(v_div(variance_x, v_add(v_div(square_v, count), epsilon)));
}

BNNPAN_INLINE vfloat new_value(const nbc_job *job, const pixel_statistics *statistics, vfloat x, int32_t c) {
    const bnnpan_output *output = job->output;
    const vfloat v = v_load(job->v + c * BNNPAN_ROW_ALIGNMENT);
    const vfloat centred = v_sub(v_sub(v, statistics->mean_v), v_set(job->unit->phi[c]));
    const vfloat kept = v_fma(v_set(output->keep[c]), x, v_set(output->offset[c]));
    const vfloat moved = v_fma(v_set(output->mean[c]), statistics->mean_x, kept);
    return v_fma(v_set(output->branch[c]), v_mul(statistics->gain, centred), moved);
}

BNNPAN_INLINE void finish(const nbc_job *job, const pixel_statistics *statistics, int32_t first, int32_t words) {
    const int32_t channels = job->unit->channels;
    for (int32_t word = 0; word < words; word++) {
        const int32_t start = word * BNNPAN_WORD_BITS, left = channels - start;
        const int32_t count = left < BNNPAN_WORD_BITS ? left : BNNPAN_WORD_BITS;
        vwords marks = w_set(0);
        for (int32_t bit = 0; bit < count; bit++) {
            float *place = job->x + (size_t)(start + bit) * (size_t)job->stride + first;
            const vfloat value = new_value(job, statistics, v_load(place), start + bit);
            v_store(place, value);
            if (job->packing != NULL)
                marks = w_mark(marks, value, v_set(job->packing->threshold[start + bit]), UINT32_C(1) << bit);
        }
        if (job->packing != NULL)
            store_marks(job->packing->row, job->packed->stride, word, first, job->n, marks);
    }
}

BNNPAN_INLINE void run(const nbc_job *job, int32_t words) {
    for (int32_t first = 0; first < job->n; first += BNNPAN_LANES) {
        pixel_statistics statistics;
        if (touches_edge(first, job->n)) {
            const sum_edges edges = find_edges(first, job->n);
            statistics = activate(job, first, words, &edges);
        } else {
            statistics = activate(job, first, words, NULL);
        }
        statistics.gain = gain_of(job, &statistics, first);
        finish(job, &statistics, first, words);
    }
}

void BNNPAN_KERNEL(nbc_row)(const bnnpan_unit *unit, const bnnpan_output *output, const bnnpan_packed_rows *packed,
                            float *x, int32_t stride, int32_t n, const bnnpan_packing *packing, float *scratch) {
    const nbc_job job = {unit, output, packed, packing, x, scratch, stride, n};
    switch (unit->words) {
    case 1: run(&job, 1); break;
    case 2: run(&job, 2); break;
    default: run(&job, unit->words); break;
    }
}

BNNPAN_INLINE void sums(const bnnpan_unit *unit, const bnnpan_packed_rows *packed, int32_t *out, int32_t n,
                        int32_t words) {
    const int32_t length = bnnpan_row_length(n);
    for (int32_t first = 0; first < n; first += BNNPAN_LANES) {
        const sum_edges edges = find_edges(first, n);
        sum_neighbours around;
        load_neighbours(&around, packed, words, first);
        for (int32_t c = 0; c < unit->channels; c++)
            w_store((uint32_t *)(void *)(out + (size_t)c * (size_t)length + first),
                    w_truncate(sum_of_signs(unit, &around, words, c, packed->outside,
                                            touches_edge(first, n) ? &edges : NULL)));
    }
}

void BNNPAN_KERNEL(sums_row)(const bnnpan_unit *unit, const bnnpan_packed_rows *packed, int32_t *out, int32_t n) {
    switch (unit->words) {
    case 1: sums(unit, packed, out, n, 1); break;
    case 2: sums(unit, packed, out, n, 2); break;
    default: sums(unit, packed, out, n, unit->words); break;
    }
}
