/* Condition vector and latent prior of a scene (Fig. 3, Eq. 11 to 14 of the paper), in double. */
#ifndef BNNPAN_PRIOR_H
#define BNNPAN_PRIOR_H

#include "../stages/image.h"
#include "../stages/planes.h"
#include "model.h"

typedef struct bnnpan_prior {
    const bnnpan_model *model;
    bnnpan_image image;
    float *even, *odd; /* (L, split row) a pair of convolved rows */
    double *condition; /* (L) */
    double *latent;    /* (L) z, in the end the prior */
    double *joined;    /* (2L + 1) input of the denoiser */
    double *hidden;    /* (L) */
} bnnpan_prior;

/* out (rows) = bias + weight (rows, cols) @ x, in double, columns in order. */
void bnnpan_linear(double *out, const float *weight, const float *bias, const double *x, int32_t rows, int32_t cols);

void bnnpan_prior_layout(bnnpan_prior *prior, bnnpan_arena *arena, const bnnpan_model *model, int32_t height,
                         int32_t width);

/* Fills `latent` from `count` patches, each zero-padded, of which the first is given. */
void bnnpan_prior_run(bnnpan_prior *prior, int32_t count, const bnnpan_planes *patches);

#endif
