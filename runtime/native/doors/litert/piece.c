#include "piece.h"

#include <stdlib.h>

void litert_close_piece(litert_piece *piece) {
    if (piece == NULL) return;
    litert_blocks_close(&piece->blocks);
    free(piece->weights);
    free(piece->arena);
    free(piece);
}

static void *take_over(litert_context *context, const char *buffer, size_t length) {
    litert_piece **pending = ((const litert_partition *)(const void *)buffer)->delegate->data;
    litert_piece *piece = *pending;
    (void)context;
    (void)length;
    *pending = NULL;
    return piece;
}

static void close_node(litert_context *context, void *piece) {
    (void)context;
    litert_close_piece(piece);
}

litert_registration litert_piece_registration(const char *name, litert_step *prepare, litert_step *invoke) {
    return (litert_registration){
        .init = take_over,
        .free = close_node,
        .prepare = prepare,
        .invoke = invoke,
        .custom_name = name,
        .version = 1,
    };
}

litert_status litert_refuse(litert_context *context, const char *piece, const char *reason) {
    context->report_error(context, "bnnpan: %s: %s", piece, reason);
    return LITERT_ERROR;
}

bool litert_renew_arena(litert_piece *piece, size_t bytes) {
    free(piece->arena);
    piece->arena = malloc(bytes);
    return piece->arena != NULL;
}
