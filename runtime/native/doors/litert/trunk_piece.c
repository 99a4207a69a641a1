#include <stdlib.h>
#include <string.h>

#include "../../stages/trunk.h"
#include "piece.h"

static const char NAME[] = "trunk";

typedef struct trunk_piece {
    litert_piece common;
    int32_t inputs[BNNPAN_SUB_BANDS], outputs[BNNPAN_SUB_BANDS]; /* tensors */
    bnnpan_trunk trunk;
} trunk_piece;

/* The sub-bands of one image of the batch, (rows, cols, C). */
typedef struct sub_band_images {
    int32_t channels, cols;
    const float *from[BNNPAN_SUB_BANDS];
    float *to[BNNPAN_SUB_BANDS];
} sub_band_images;

litert_piece *litert_open_trunk(const litert_graph *graph, const litert_group *group, const bnnpan_kernels *kernels) {
    trunk_piece *piece = calloc(1, sizeof *piece);
    if (piece == NULL) return NULL;
    for (int32_t i = 0; i < BNNPAN_SUB_BANDS; i++) {
        piece->inputs[i] = group->unit[0][i]->input;
        piece->outputs[i] = group->unit[group->blocks - 1][i]->output;
    }
    if (litert_blocks_open(&piece->common.blocks, graph, group, kernels)) return &piece->common;
    litert_close_piece(&piece->common);
    return NULL;
}

static size_t lay_out(trunk_piece *piece, const int32_t *dims, void *memory) {
    bnnpan_arena arena = bnnpan_arena_open(memory);
    bnnpan_trunk_layout(&piece->trunk, &arena, piece->common.blocks.units, dims[1], dims[2]);
    return bnnpan_arena_bytes(&arena);
}

static litert_status prepare_trunk(litert_context *context, litert_node *node) {
    trunk_piece *piece = node->user_data;
    if (piece == NULL) return litert_refuse(context, NAME, "was split by the runtime");
    const litert_tensor *tensors = context->tensors;
    const litert_ints *dims = tensors[piece->inputs[0]].dims;
    if (dims->size != 4 || dims->data[3] != piece->common.blocks.units->channels)
        return litert_refuse(context, NAME, "the number of channels is fixed");
    if (dims->data[1] < 1 || dims->data[2] < 1 || dims->data[1] > BNNPAN_MAX_SIDE / 2 ||
        dims->data[2] > BNNPAN_MAX_SIDE / 2)
        return litert_refuse(context, NAME, "height and width must be 1 to 16384");
    if (!litert_affines_fit(&piece->common.blocks, context))
        return litert_refuse(context, NAME, "affines have one value per channel");
    for (int32_t i = 0; i < BNNPAN_SUB_BANDS; i++) {
        if (!litert_same_dims(&tensors[piece->inputs[0]], &tensors[piece->inputs[i]]))
            return litert_refuse(context, NAME, "the sub-bands must be of one size");
        if (litert_resize(context, &context->tensors[piece->outputs[i]], dims->size, dims->data) != LITERT_OK)
            return LITERT_ERROR;
    }
    if (!litert_renew_arena(&piece->common, lay_out(piece, dims->data, NULL)))
        return litert_refuse(context, NAME, "memory is short");
    lay_out(piece, dims->data, piece->common.arena);
    return LITERT_OK;
}

static void read_row(void *context, int32_t row, float *x, int32_t stride) {
    const sub_band_images *images = context;
    const int32_t channels = images->channels, cols = images->cols;
    const size_t padding = (size_t)(stride - cols) * sizeof *x;
    const size_t start = (size_t)row * (size_t)cols * (size_t)channels;
    for (int32_t i = 0; i < BNNPAN_SUB_BANDS; i++) {
        const float *from = images->from[i] + start;
        for (int32_t c = 0; c < channels; c++, x += stride) {
            for (int32_t col = 0; col < cols; col++) x[col] = from[(size_t)col * (size_t)channels + (size_t)c];
            memset(x + cols, 0, padding); /* kernels compute there, and subnormal numbers are slow */
        }
    }
}

static void write_row(void *context, int32_t row, const float *x, int32_t stride) {
    const sub_band_images *images = context;
    const int32_t channels = images->channels, cols = images->cols;
    const size_t start = (size_t)row * (size_t)cols * (size_t)channels;
    for (int32_t i = 0; i < BNNPAN_SUB_BANDS; i++, x += (size_t)channels * (size_t)stride) {
        float *to = images->to[i] + start;
        for (int32_t col = 0; col < cols; col++)
            for (int32_t c = 0; c < channels; c++) *to++ = x[(size_t)c * (size_t)stride + (size_t)col];
    }
}

static litert_status run_trunk(litert_context *context, litert_node *node) {
    trunk_piece *piece = node->user_data;
    litert_blocks *blocks = &piece->common.blocks;
    const int32_t *dims = context->tensors[piece->inputs[0]].dims->data;
    const size_t image_floats = (size_t)dims[1] * (size_t)dims[2] * (size_t)dims[3];
    litert_read_affines(blocks, context);
    for (int32_t image = 0; image < dims[0]; image++) {
        sub_band_images images = {.channels = dims[3], .cols = dims[2]};
        for (int32_t i = 0; i < BNNPAN_SUB_BANDS; i++) {
            images.from[i] = (const float *)context->tensors[piece->inputs[i]].data + (size_t)image * image_floats;
            images.to[i] = (float *)context->tensors[piece->outputs[i]].data + (size_t)image * image_floats;
        }
        bnnpan_trunk_run(&piece->trunk, blocks->units->blocks, blocks->affines, read_row, &images, write_row, &images);
    }
    return LITERT_OK;
}

litert_registration litert_trunk_registration(void) {
    return litert_piece_registration("BnnpanTrunk", prepare_trunk, run_trunk);
}
