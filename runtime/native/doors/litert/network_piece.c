#include <stdlib.h>

#include "../../engine/window.h"
#include "piece.h"

static const char NAME[] = "network";

typedef struct network_piece {
    litert_piece common;
    bnnpan_model model;     /* what a window needs of it */
    int32_t lms, pan, hrms; /* tensors */
    bnnpan_window window;
} network_piece;

/* One image of the batch, channels last. */
typedef struct pixel_images {
    int32_t bands, width;
    const float *lms, *pan; /* (height, width, bands), (height, width) */
    float *hrms;            /* like LMS */
} pixel_images;

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

/* The Haar transform's factor belongs to the head, see head_rows. */
static bool read_weights(network_piece *piece, const litert_graph *graph, const litert_network *network) {
    const litert_tensor *tensors = graph->context->tensors;
    const int32_t *head = network->head.tensor, *tail = network->tail.tensor;
    const size_t channels = (size_t)network->head.channels, bands = (size_t)network->bands;
    const size_t head_floats = channels * (bands + 1) * BNNPAN_TAPS + channels;
    float *weights = malloc((head_floats + bands * channels * BNNPAN_TAPS + bands) * sizeof *weights);
    piece->common.weights = weights;
    if (weights == NULL) return false;
    piece->model.head =
        read_filters(&tensors[head[NETWORK_HEAD_WEIGHT]], &tensors[head[NETWORK_HEAD_BIAS]], 0.5f, weights);
    piece->model.tail = read_filters(&tensors[tail[NETWORK_TAIL_WEIGHT]], &tensors[tail[NETWORK_TAIL_BIAS]], 1.0f,
                                     weights + head_floats);
    return true;
}

litert_piece *litert_open_network(const litert_graph *graph, const litert_network *network,
                                  const bnnpan_kernels *kernels) {
    network_piece *piece = calloc(1, sizeof *piece);
    if (piece == NULL) return NULL;
    piece->lms = network->head.tensor[NETWORK_LMS];
    piece->pan = network->head.tensor[NETWORK_PAN];
    piece->hrms = network->tail.tensor[NETWORK_HRMS];
    piece->model.kernels = kernels;
    piece->model.shape.bands = network->bands;
    piece->model.shape.channels = network->head.channels;
    if (read_weights(piece, graph, network) &&
        litert_blocks_open(&piece->common.blocks, graph, &network->group, kernels)) {
        piece->model.units = piece->common.blocks.units;
        return &piece->common;
    }
    litert_close_piece(&piece->common);
    return NULL;
}

static size_t lay_out(network_piece *piece, const int32_t *dims, void *memory) {
    bnnpan_arena arena = bnnpan_arena_open(memory);
    bnnpan_window_layout(&piece->window, &arena, &piece->model, dims[1], dims[2]);
    return bnnpan_arena_bytes(&arena);
}

static litert_status prepare_network(litert_context *context, litert_node *node) {
    network_piece *piece = node->user_data;
    if (piece == NULL) return litert_refuse(context, NAME, "was split by the runtime");
    const litert_ints *lms = context->tensors[piece->lms].dims, *pan = context->tensors[piece->pan].dims;
    if (lms->size != 4 || pan->size != 4 || lms->data[3] != piece->model.shape.bands || pan->data[3] != 1)
        return litert_refuse(context, NAME, "the number of bands is fixed");
    for (int32_t i = 0; i < 3; i++)
        if (lms->data[i] != pan->data[i]) return litert_refuse(context, NAME, "PAN and LMS must be of one size");
    if (!bnnpan_size_is_valid(lms->data[1], lms->data[2]))
        return litert_refuse(context, NAME, "height and width must be even, 2 to 32768");
    if (!litert_affines_fit(&piece->common.blocks, context))
        return litert_refuse(context, NAME, "affines have one value per channel");
    if (litert_resize(context, &context->tensors[piece->hrms], lms->size, lms->data) != LITERT_OK) return LITERT_ERROR;
    if (!litert_renew_arena(&piece->common, lay_out(piece, lms->data, NULL)))
        return litert_refuse(context, NAME, "memory is short");
    lay_out(piece, lms->data, piece->common.arena);
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
        const float *even = bnnpan_read_even(rows), *odd = bnnpan_read_odd(rows, n);
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
    const size_t pixels = (size_t)dims[1] * (size_t)dims[2], bands = (size_t)dims[3];
    litert_read_affines(&piece->common.blocks, context);
    for (size_t image = 0; image < (size_t)dims[0]; image++) {
        pixel_images images = {
            .bands = dims[3],
            .width = dims[2],
            .lms = (const float *)context->tensors[piece->lms].data + image * pixels * bands,
            .pan = (const float *)context->tensors[piece->pan].data + image * pixels,
            .hrms = (float *)context->tensors[piece->hrms].data + image * pixels * bands,
        };
        bnnpan_window_run(&piece->window, piece->common.blocks.affines, 0, dims[1] - 1, read_row, write_row, &images);
    }
    return LITERT_OK;
}

litert_registration litert_network_registration(void) {
    return litert_piece_registration("BnnpanNetwork", prepare_network, run_network);
}
