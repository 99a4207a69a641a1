#include <stdlib.h>

#include "../../stages/head.h"
#include "../../stages/tail.h"
#include "../../stages/trunk.h"
#include "piece.h"

typedef struct network_piece {
    litert_blocks blocks;
    int32_t bands;
    int32_t lms, pan, hrms; /* tensors */
    float *weights;         /* of head and tail, each followed by its bias */
    bnnpan_image image;
    bnnpan_head head;
    bnnpan_trunk trunk;
    bnnpan_tail tail;
    void *arena;
} network_piece;

/* One image of the batch, channels last. */
typedef struct pixel_images {
    int32_t bands, width;
    const float *lms, *pan; /* (height, width, bands), (height, width) */
    float *hrms;            /* like LMS */
} pixel_images;

static void close_network(void *data) {
    network_piece *piece = data;
    if (piece == NULL) return;
    litert_blocks_close(&piece->blocks);
    free(piece->weights);
    free(piece->arena);
    free(piece);
}

/* Weights (outputs, 3, 3, planes) to (outputs, planes, 3, 3), bias behind them, all times `factor`. */
static bnnpan_filters read_filters(const litert_tensor *weight, const litert_tensor *bias, float factor,
                                   float *target) {
    const int32_t outputs = weight->dims->data[0], planes = weight->dims->data[3];
    const float *from = weight->data, *offsets = bias->data;
    float *const end = target + (size_t)outputs * (size_t)planes * BNNPAN_TAPS;
    for (int32_t output = 0; output < outputs; output++)
        for (int32_t tap = 0; tap < BNNPAN_TAPS; tap++)
            for (int32_t plane = 0; plane < planes; plane++)
                target[((size_t)output * (size_t)planes + (size_t)plane) * BNNPAN_TAPS + (size_t)tap] =
                    factor * *from++;
    for (int32_t output = 0; output < outputs; output++) end[output] = factor * offsets[output];
    return (bnnpan_filters){.weight = target, .bias = end, .outputs = outputs};
}

static bool read_weights(network_piece *piece, const litert_graph *graph, const litert_network *network) {
    const litert_tensor *tensors = graph->context->tensors;
    const int32_t *head = network->head.tensor, *tail = network->tail.tensor;
    const size_t channels = (size_t)network->head.channels, bands = (size_t)network->bands;
    const size_t head_floats = channels * (bands + 1) * BNNPAN_TAPS + channels;
    piece->weights = malloc((head_floats + bands * channels * BNNPAN_TAPS + bands) * sizeof *piece->weights);
    if (piece->weights == NULL) return false;
    piece->head.filters = read_filters(&tensors[head[NETWORK_HEAD_WEIGHT]], &tensors[head[NETWORK_HEAD_BIAS]], 0.5f,
                                       piece->weights);
    piece->tail.filters = read_filters(&tensors[tail[NETWORK_TAIL_WEIGHT]], &tensors[tail[NETWORK_TAIL_BIAS]], 1.0f,
                                       piece->weights + head_floats);
    return true;
}

bool litert_open_network(litert_pending *pending, const litert_graph *graph, const litert_network *network,
                         const bnnpan_kernels *kernels) {
    network_piece *piece = calloc(1, sizeof *piece);
    if (piece == NULL) return false;
    *pending = (litert_pending){piece, close_network};
    piece->bands = network->bands;
    piece->lms = network->head.tensor[NETWORK_LMS];
    piece->pan = network->head.tensor[NETWORK_PAN];
    piece->hrms = network->tail.tensor[NETWORK_HRMS];
    piece->head.kernels = kernels;
    piece->head.image = &piece->image;
    piece->tail.kernels = kernels;
    return read_weights(piece, graph, network) && litert_blocks_open(&piece->blocks, graph, &network->group, kernels);
}

static litert_status refuse(litert_context *context, const char *reason) {
    context->report_error(context, "bnnpan: network: %s", reason);
    return LITERT_ERROR;
}

static size_t lay_out(network_piece *piece, int32_t height, int32_t width) {
    const bnnpan_units *units = piece->blocks.units;
    bnnpan_arena arena = bnnpan_arena_open(piece->arena);
    /* The last block is `blocks` rows of sub-bands, two image rows each, behind the head. */
    bnnpan_image_layout(&piece->image, &arena, piece->bands, height, width, 2 * units->blocks);
    bnnpan_trunk_layout(&piece->trunk, &arena, units, height / 2, width / 2);
    bnnpan_tail_layout(&piece->tail, &arena, &piece->image, units->channels);
    return bnnpan_arena_bytes(&arena);
}

static litert_status prepare_network(litert_context *context, litert_node *node) {
    network_piece *piece = node->user_data;
    if (piece == NULL) return refuse(context, "was split by the runtime");
    const litert_ints *lms = context->tensors[piece->lms].dims, *pan = context->tensors[piece->pan].dims;
    if (lms->size != 4 || pan->size != 4 || lms->data[3] != piece->bands || pan->data[3] != 1)
        return refuse(context, "the number of bands is fixed");
    for (int32_t i = 0; i < 3; i++)
        if (lms->data[i] != pan->data[i]) return refuse(context, "PAN and LMS must be of one size");
    if (!bnnpan_size_is_valid(lms->data[1], lms->data[2]))
        return refuse(context, "height and width must be even, 2 to 32768");
    if (!litert_affines_fit(&piece->blocks, context)) return refuse(context, "affines have one value per channel");
    if (litert_resize(context, &context->tensors[piece->hrms], lms->size, lms->data) != LITERT_OK) return LITERT_ERROR;
    free(piece->arena);
    piece->arena = NULL;
    piece->arena = malloc(lay_out(piece, lms->data[1], lms->data[2]));
    if (piece->arena == NULL) return refuse(context, "memory is short");
    lay_out(piece, lms->data[1], lms->data[2]);
    return LITERT_OK;
}

/* Every `step`-th value of a row of 2n pixels, split. */
static void split(const float *values, int32_t step, float *row, int32_t n) {
    float *even = bnnpan_even(row), *odd = bnnpan_odd(row, n);
    for (int32_t x = 0; x < n; x++, values += 2 * step) {
        even[x] = values[0];
        odd[x] = values[step];
    }
}

static void read_row(void *context, int32_t y, float *rows) {
    const pixel_images *images = context;
    const int32_t n = images->width / 2, bands = images->bands;
    const size_t pixel = (size_t)y * (size_t)images->width;
    for (int32_t band = 0; band < bands; band++, rows += bnnpan_split_floats(n))
        split(images->lms + pixel * (size_t)bands + band, bands, rows, n);
    split(images->pan + pixel, 1, rows, n);
}

static void write_row(void *context, int32_t y, const float *rows) {
    const pixel_images *images = context;
    const int32_t n = images->width / 2, bands = images->bands;
    for (int32_t band = 0; band < bands; band++, rows += bnnpan_split_floats(n)) {
        const float *even = rows + BNNPAN_ROW_ALIGNMENT, *odd = even + bnnpan_half_floats(n);
        float *to = images->hrms + (size_t)y * (size_t)images->width * (size_t)bands + band;
        for (int32_t x = 0; x < n; x++, to += 2 * bands) {
            to[0] = even[x];
            to[bands] = odd[x];
        }
    }
}

static litert_status run_network(litert_context *context, litert_node *node) {
    network_piece *piece = node->user_data;
    const int32_t *dims = context->tensors[piece->lms].dims->data;
    const size_t pixels = (size_t)dims[1] * (size_t)dims[2], bands = (size_t)piece->bands;
    litert_read_affines(&piece->blocks, context);
    for (size_t image = 0; image < (size_t)dims[0]; image++) {
        pixel_images images = {
            .bands = piece->bands,
            .width = dims[2],
            .lms = (const float *)context->tensors[piece->lms].data + image * pixels * bands,
            .pan = (const float *)context->tensors[piece->pan].data + image * pixels,
            .hrms = (float *)context->tensors[piece->hrms].data + image * pixels * bands,
        };
        bnnpan_image_start(&piece->image, read_row, &images);
        bnnpan_tail_start(&piece->tail, write_row, &images);
        bnnpan_trunk_run(&piece->trunk, piece->blocks.units->blocks, piece->blocks.affines, bnnpan_head_row,
                         &piece->head, bnnpan_tail_row, &piece->tail);
    }
    return LITERT_OK;
}

static void free_network(litert_context *context, void *data) {
    (void)context;
    close_network(data);
}

litert_registration litert_network_registration(void) {
    return (litert_registration){
        .init = litert_take_over,
        .free = free_network,
        .prepare = prepare_network,
        .invoke = run_network,
        .custom_name = "BnnpanNetwork",
        .version = 1,
    };
}
