/* Normalised binary convolution (Eq. 3 to 6 of the paper) and the frozen affine, one row of one sub-band in place:
 * binary convolution -> RPReLU -> normalised to the per-pixel channel statistics of the input, plus the input.
 *
 * A few vectors of pixels stay in the first-level cache from the bits of their neighbourhood to their new values and
 * the bits of those. Each step is done for all of them before the next, so that processors which execute in order
 * need not wait for one result after another. */
#include "binary_sums.h"

enum { VECTORS = 4, STRIDE = VECTORS * BNNPAN_LANES }; /* pixels at a time, and floats between their channels */

typedef struct pixel_statistics {
    vfloat mean_x[VECTORS], mean_v[VECTORS]; /* over the channels of a pixel */
    vfloat gain[VECTORS];                    /* deviation of x over that of v */
} pixel_statistics;

typedef struct nbc_job {
    const bnnpan_unit *unit;
    const bnnpan_output *outputs;
    const bnnpan_packed_rows *packed;
    uint32_t *next;
    float *x;
    float *v; /* (C, STRIDE) activated convolution */
    size_t stride;
    int32_t channels, n;
} nbc_job;

/* Sums of signs of one vector, filter after filter, into v. */
BNNPAN_INLINE void convolve(const nbc_job *job, int32_t start, float *v, int32_t words, const sum_edges *edges) {
    const bnnpan_filter *filters = job->unit->filters;
    const int32_t outside = job->packed->outside, channels = job->channels;
    filter_reader reader = read_filters(job->unit);
    sum_neighbours around;
    load_neighbours(&around, job->packed, words, start);
    for (int32_t c = 0; c < channels; c++)
        v_store(v + c * STRIDE, sum_of_signs(filters + c, &reader, &around, words, outside, edges));
}

/* RPReLU of v, and means of x and v over the channels. */
BNNPAN_INLINE void activate(const nbc_job *job, pixel_statistics *statistics, int32_t first, int32_t vectors) {
    const bnnpan_filter *filter = job->unit->filters;
    const int32_t channels = job->channels;
    vfloat sum_x[VECTORS], sum_v[VECTORS];
    for (int32_t i = 0; i < vectors; i++) sum_x[i] = sum_v[i] = v_zero();
    for (int32_t c = 0; c < channels; c++, filter++) {
        const float *x = job->x + (size_t)c * job->stride + first;
        float *place = job->v + c * STRIDE;
        vfloat u[VECTORS], v[VECTORS];
        for (int32_t i = 0; i < vectors; i++)
            u[i] = v_fma(v_load(place + i * BNNPAN_LANES), v_set(filter->scale), v_set(filter->minus_gamma));
        for (int32_t i = 0; i < vectors; i++) v[i] = v_mul(u[i], v_set(filter->beta));
        for (int32_t i = 0; i < vectors; i++) v[i] = v_add(v_rectify(u[i], v[i]), v_set(filter->zeta));
        for (int32_t i = 0; i < vectors; i++) {
            v_store(place + i * BNNPAN_LANES, v[i]);
            sum_v[i] = v_add(sum_v[i], v[i]);
            sum_x[i] = v_add(sum_x[i], v_load(x + i * BNNPAN_LANES));
        }
    }
    const vfloat count = v_set((float)channels);
    for (int32_t i = 0; i < vectors; i++) {
        statistics->mean_x[i] = v_div(sum_x[i], count);
        statistics->mean_v[i] = v_div(sum_v[i], count);
    }
}

BNNPAN_INLINE void compare_deviations(const nbc_job *job, pixel_statistics *statistics, int32_t first,
                                      int32_t vectors) {
    const int32_t channels = job->channels;
    vfloat square_x[VECTORS], square_v[VECTORS];
    for (int32_t i = 0; i < vectors; i++) square_x[i] = square_v[i] = v_zero();
    for (int32_t c = 0; c < channels; c++) {
        const float *place_x = job->x + (size_t)c * job->stride + first, *place_v = job->v + c * STRIDE;
        vfloat x[VECTORS], v[VECTORS];
        for (int32_t i = 0; i < vectors; i++) {
            x[i] = v_sub(v_load(place_x + i * BNNPAN_LANES), statistics->mean_x[i]);
            v[i] = v_sub(v_load(place_v + i * BNNPAN_LANES), statistics->mean_v[i]);
        }
        for (int32_t i = 0; i < vectors; i++) {
            square_x[i] = v_fma(x[i], x[i], square_x[i]);
            square_v[i] = v_fma(v[i], v[i], square_v[i]);
        }
    }
    const vfloat count = v_set((float)channels), epsilon = v_set(BNNPAN_VARIANCE_EPSILON);
    for (int32_t i = 0; i < vectors; i++) {
        const vfloat variance_x = v_add(v_div(square_x[i], count), epsilon);
        statistics->gain[i] = v_sqrt(v_div(variance_x, v_add(v_div(square_v[i], count), epsilon)));
    }
}

/* Channels of one word: new values, and their signs into `marks`. */
BNNPAN_INLINE void finish_word(const nbc_job *job, const pixel_statistics *statistics, int32_t first, int32_t vectors,
                               int32_t start, int32_t count, vwords marks[VECTORS]) {
    const bnnpan_output *output = job->outputs + start;
    for (int32_t i = 0; i < vectors; i++) marks[i] = w_set(0);
    for (int32_t bit = 0; bit < count; bit++, output++) {
        float *place = job->x + (size_t)(start + bit) * job->stride + first;
        const float *place_v = job->v + (start + bit) * STRIDE;
        vfloat branch[VECTORS], value[VECTORS];
        for (int32_t i = 0; i < vectors; i++) {
            branch[i] = v_sub(v_load(place_v + i * BNNPAN_LANES), statistics->mean_v[i]);
            value[i] = v_fma(v_set(output->keep), v_load(place + i * BNNPAN_LANES), v_set(output->offset));
        }
        for (int32_t i = 0; i < vectors; i++) {
            branch[i] = v_sub(branch[i], v_set(output->phi));
            value[i] = v_fma(v_set(output->mean), statistics->mean_x[i], value[i]);
        }
        for (int32_t i = 0; i < vectors; i++) branch[i] = v_mul(statistics->gain[i], branch[i]);
        for (int32_t i = 0; i < vectors; i++) value[i] = v_fma(v_set(output->branch), branch[i], value[i]);
        for (int32_t i = 0; i < vectors; i++) {
            v_store(place + i * BNNPAN_LANES, value[i]);
            marks[i] = w_mark(marks[i], value[i], v_set(output->threshold), UINT32_C(1) << bit);
        }
    }
}

BNNPAN_INLINE void finish(const nbc_job *job, const pixel_statistics *statistics, int32_t first, int32_t vectors,
                          int32_t words) {
    for (int32_t word = 0; word < words; word++) {
        const int32_t start = word * BNNPAN_WORD_BITS, left = job->channels - start;
        vwords marks[VECTORS];
        finish_word(job, statistics, first, vectors, start, left < BNNPAN_WORD_BITS ? left : BNNPAN_WORD_BITS, marks);
        if (job->next == NULL) continue;
        for (int32_t i = 0; i < vectors; i++)
            store_marks(job->next, job->packed->stride, word, first + i * BNNPAN_LANES, job->n, marks[i]);
    }
}

BNNPAN_INLINE void compute(const nbc_job *job, int32_t first, int32_t vectors, int32_t words) {
    pixel_statistics statistics;
    for (int32_t i = 0; i < vectors; i++) {
        const int32_t start = first + i * BNNPAN_LANES;
        if (touches_edge(start, job->n)) {
            const sum_edges edges = find_edges(start, job->n);
            convolve(job, start, job->v + i * BNNPAN_LANES, words, &edges);
        } else {
            convolve(job, start, job->v + i * BNNPAN_LANES, words, NULL);
        }
    }
    activate(job, &statistics, first, vectors);
    compare_deviations(job, &statistics, first, vectors);
    finish(job, &statistics, first, vectors, words);
}

BNNPAN_INLINE void run(const nbc_job *job, int32_t words) {
    int32_t first = 0;
    for (; first + (VECTORS - 1) * BNNPAN_LANES < job->n; first += VECTORS * BNNPAN_LANES)
        compute(job, first, VECTORS, words);
    for (; first < job->n; first += BNNPAN_LANES) compute(job, first, 1, words);
}

void BNNPAN_KERNEL(nbc_row)(const bnnpan_unit *unit, const bnnpan_output *outputs, const bnnpan_packed_rows *packed,
                            float *x, int32_t stride, int32_t n, uint32_t *next, float *scratch) {
    const nbc_job job = {unit, outputs, packed, next, x, scratch, (size_t)stride, unit->channels, n};
    switch (unit->words) {
    case 1: run(&job, 1); break;
    case 2: run(&job, 2); break;
    default: run(&job, unit->words); break;
    }
}
