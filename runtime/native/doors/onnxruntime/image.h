/* One image of a batch as the trunk's source and sink of sub-band rows. */
#ifndef BNNPAN_ONNX_IMAGE_H
#define BNNPAN_ONNX_IMAGE_H

#include "../../bnnpan.h"
#include "../../engine/arena.h"
#include "../../kernels/kernels.h"

typedef struct onnx_image {
    const bnnpan_kernels *kernels;
    int32_t channels, rows, cols; /* rows and cols of a sub-band */
    const float *from;            /* features (C, 2 rows, 2 cols) or sub-bands (4, C, rows, cols) */
    float *to;                    /* like `from` */
    float *taken[2], *given[2];   /* a pair of split rows (kernels/rows.h) on the way in, and on the way out */
} onnx_image;

void onnx_image_layout(onnx_image *image, bnnpan_arena *arena);

/* After the layout got its memory. */
void onnx_image_start(onnx_image *image);

/* Floats of one image. */
static inline size_t onnx_image_floats(const onnx_image *image) {
    return BNNPAN_SUB_BANDS * (size_t)image->channels * (size_t)image->rows * (size_t)image->cols;
}

/* bnnpan_row_source and bnnpan_row_sink, `image` an onnx_image: features through the Haar transform and its inverse,
 * in the order of operations of the functions Haar and InverseHaar of the ONNX graphs; or sub-bands as they are. */
void onnx_take_features(void *image, int32_t row, float *x, int32_t stride);
void onnx_give_features(void *image, int32_t row, const float *x, int32_t stride);
void onnx_take_sub_bands(void *image, int32_t row, float *x, int32_t stride);
void onnx_give_sub_bands(void *image, int32_t row, const float *x, int32_t stride);

#endif
