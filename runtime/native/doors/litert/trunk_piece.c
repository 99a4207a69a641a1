#include <stdlib.h>
#include <string.h>

#include "../../stages/trunk.h"
#include "piece.h"

typedef struct trunk_piece {
    litert_blocks blocks;
    int32_t inputs[BNNPAN_UNITS_PER_BLOCK], outputs[BNNPAN_UNITS_PER_BLOCK]; /* tensors */
    bnnpan_trunk trunk;
    void *arena;
} trunk_piece;

/* The sub-bands of one image of the batch, (rows, cols, C). */
typedef struct sub_band_images {
    int32_t channels, cols;
    const float *from[BNNPAN_UNITS_PER_BLOCK];
    float *to[BNNPAN_UNITS_PER_BLOCK];
} sub_band_images;

static void close_trunk(void *data) {
    trunk_piece *piece = data;
    if (piece == NULL) return;
    litert_blocks_close(&piece->blocks);
    free(piece->arena);
    free(piece);
}

bool litert_open_trunk(litert_pending *pending, const litert_graph *graph, const litert_group *group,
                       const bnnpan_kernels *kernels) {
    trunk_piece *piece = calloc(1, sizeof *piece);
    if (piece == NULL) return false;
    for (int32_t i = 0; i < BNNPAN_UNITS_PER_BLOCK; i++) {
        piece->inputs[i] = group->unit[0][i]->input;
        piece->outputs[i] = group->unit[group->blocks - 1][i]->output;
    }
    *pending = (litert_pending){piece, close_trunk};
    return litert_blocks_open(&piece->blocks, graph, group, kernels);
}

static litert_status refuse(litert_context *context, const char *reason) {
    context->report_error(context, "bnnpan: trunk: %s", reason);
    return LITERT_ERROR;
}

static bool same_dims(const litert_ints *one, const litert_ints *other) {
    return one->size == other->size && memcmp(one->data, other->data, (size_t)one->size * sizeof one->data[0]) == 0;
}

static size_t lay_out(trunk_piece *piece, int32_t rows, int32_t cols) {
    bnnpan_arena arena = bnnpan_arena_open(piece->arena);
    bnnpan_trunk_layout(&piece->trunk, &arena, piece->blocks.units, rows, cols);
    return bnnpan_arena_bytes(&arena);
}

static litert_status allocate(litert_context *context, trunk_piece *piece, const litert_ints *dims) {
    free(piece->arena);
    piece->arena = NULL;
    piece->arena = malloc(lay_out(piece, dims->data[1], dims->data[2]));
    if (piece->arena == NULL) return refuse(context, "memory is short");
    lay_out(piece, dims->data[1], dims->data[2]);
    return LITERT_OK;
}

static litert_status prepare_trunk(litert_context *context, litert_node *node) {
    trunk_piece *piece = node->user_data;
    if (piece == NULL) return refuse(context, "was split by the runtime");
    const litert_ints *dims = context->tensors[piece->inputs[0]].dims;
    if (dims->size != 4 || dims->data[3] != piece->blocks.units->channels)
        return refuse(context, "the number of channels is fixed");
    if (dims->data[1] < 1 || dims->data[2] < 1 || dims->data[1] > BNNPAN_MAX_SIDE / 2 ||
        dims->data[2] > BNNPAN_MAX_SIDE / 2)
        return refuse(context, "height and width must be 1 to 16384");
    if (!litert_affines_fit(&piece->blocks, context)) return refuse(context, "affines have one value per channel");
    for (int32_t i = 0; i < BNNPAN_UNITS_PER_BLOCK; i++) {
        if (!same_dims(dims, context->tensors[piece->inputs[i]].dims))
            return refuse(context, "the sub-bands must be of one size");
        if (litert_resize(context, &context->tensors[piece->outputs[i]], dims->size, dims->data) != LITERT_OK)
            return LITERT_ERROR;
    }
    return allocate(context, piece, dims);
}

static void read_row(void *context, int32_t row, float *x, int32_t stride) {
    const sub_band_images *images = context;
    const int32_t channels = images->channels, cols = images->cols;
    const size_t start = (size_t)row * (size_t)cols * (size_t)channels;
    for (int32_t i = 0; i < BNNPAN_UNITS_PER_BLOCK; i++) {
        const float *from = images->from[i] + start;
        for (int32_t c = 0; c < channels; c++, x += stride)
            for (int32_t col = 0; col < cols; col++) x[col] = from[(size_t)col * (size_t)channels + (size_t)c];
    }
}

static void write_row(void *context, int32_t row, const float *x, int32_t stride) {
    const sub_band_images *images = context;
    const int32_t channels = images->channels, cols = images->cols;
    const size_t start = (size_t)row * (size_t)cols * (size_t)channels;
    for (int32_t i = 0; i < BNNPAN_UNITS_PER_BLOCK; i++, x += (size_t)channels * (size_t)stride) {
        float *to = images->to[i] + start;
        for (int32_t col = 0; col < cols; col++)
            for (int32_t c = 0; c < channels; c++) *to++ = x[(size_t)c * (size_t)stride + (size_t)col];
    }
}

static litert_status run_trunk(litert_context *context, litert_node *node) {
    trunk_piece *piece = node->user_data;
    const bnnpan_units *units = piece->blocks.units;
    const int32_t *dims = context->tensors[piece->inputs[0]].dims->data;
    const size_t image_floats = (size_t)dims[1] * (size_t)dims[2] * (size_t)dims[3];
    litert_read_affines(&piece->blocks, context);
    for (int32_t image = 0; image < dims[0]; image++) {
        sub_band_images images = {.channels = units->channels, .cols = dims[2]};
        for (int32_t i = 0; i < BNNPAN_UNITS_PER_BLOCK; i++) {
            images.from[i] = (const float *)context->tensors[piece->inputs[i]].data + (size_t)image * image_floats;
            images.to[i] = (float *)context->tensors[piece->outputs[i]].data + (size_t)image * image_floats;
        }
        bnnpan_trunk_run(&piece->trunk, units->blocks, piece->blocks.affines, read_row, &images, write_row, &images);
    }
    return LITERT_OK;
}

static void free_trunk(litert_context *context, void *data) {
    (void)context;
    close_trunk(data);
}

litert_registration litert_trunk_registration(void) {
    return (litert_registration){
        .init = litert_take_over,
        .free = free_trunk,
        .prepare = prepare_trunk,
        .invoke = run_trunk,
        .custom_name = "BnnpanTrunk",
        .version = 1,
    };
}
