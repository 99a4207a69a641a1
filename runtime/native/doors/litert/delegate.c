/* The door for LiteRT: an external delegate, `load_delegate("libbnnpan.so")`.
 *
 * Where a graph has the network exactly as the exporter writes it, the delegate takes it whole; where it has only
 * groups of NBC units, those; of the rest, every operator of Larq Compute Engine. The runtime keeps what is left.
 *
 * Options: "isa", an instruction set of bnnpan_isa_name; "take", the largest pieces to take: "network" (the default),
 * "trunk" or "operator". */
#include <stdlib.h>
#include <string.h>

#include "node.h"
#include "piece.h"

typedef enum piece_size { TAKE_OPERATOR, TAKE_TRUNK, TAKE_NETWORK, PIECE_SIZES } piece_size;

typedef struct door {
    litert_delegate delegate;
    litert_piece *pending; /* on its way into the node that will own it */
    const bnnpan_kernels *kernels;
    piece_size largest;
    int32_t taken[PIECE_SIZES]; /* pieces of each size in the last graph */
} door;

/* Operations of a graph that go into one node; `nodes` has room for all. */
typedef struct node_selection {
    bool *taken; /* per position */
    litert_ints *nodes;
} node_selection;

static void select_match(const pattern_match *match, const node_selection *chosen) {
    for (int32_t i = 0; i < match->operations; i++) chosen->taken[match->operation[i]] = true;
}

static void select_group(const litert_group *group, const node_selection *chosen) {
    for (int32_t block = 0; block < group->blocks; block++)
        for (int32_t i = 0; i < BNNPAN_SUB_BANDS; i++) select_match(&group->unit[block][i]->match, chosen);
}

static void list_nodes(const litert_graph *graph, const node_selection *chosen) {
    chosen->nodes->size = 0;
    for (int32_t i = 0; i < graph->count; i++)
        if (chosen->taken[i]) chosen->nodes->data[chosen->nodes->size++] = graph->operations[i].node;
}

/* Whether the runtime can run the selection in one piece, with nothing of its inside needed elsewhere: it asks for no
 * other tensors than the piece's own outputs. */
static bool stands_alone(const litert_graph *graph, const node_selection *chosen, const int32_t *outputs,
                         int32_t count) {
    litert_partition *parts;
    int32_t part_count;
    if (graph->context->preview_partitioning == NULL ||
        graph->context->preview_partitioning(graph->context, chosen->nodes, &parts, &part_count) != LITERT_OK ||
        part_count != 1 || parts->nodes->size != chosen->nodes->size)
        return false;
    for (int32_t i = 0; i < parts->outputs->size; i++) {
        bool expected = false;
        for (int32_t k = 0; k < count; k++) expected = expected || parts->outputs->data[i] == outputs[k];
        if (!expected) return false;
    }
    return true;
}

/* Puts a piece into a node in place of the selection. */
static litert_status place(door *self, const litert_graph *graph, const node_selection *chosen, piece_size size,
                           litert_piece *piece) {
    const litert_registration registration = size == TAKE_NETWORK ? litert_network_registration()
                                                                  : litert_trunk_registration();
    self->pending = piece;
    const litert_status status = graph->context->replace_node_subsets(graph->context, registration, chosen->nodes,
                                                                      &self->delegate);
    litert_close_piece(self->pending);
    self->pending = NULL;
    self->taken[size]++;
    for (int32_t i = 0; i < graph->count; i++)
        if (chosen->taken[i]) graph->operations[i].lce = LCE_NONE;
    return status;
}

static void select_nothing(const litert_graph *graph, const node_selection *chosen) {
    memset(chosen->taken, 0, (size_t)graph->count * sizeof *chosen->taken);
}

/* Without memory for a piece its operations are left to smaller ones. */
static bool take_network(door *self, const litert_graph *graph, const litert_group *group,
                         const node_selection *chosen, litert_status *status) {
    litert_network network;
    if (self->largest < TAKE_NETWORK || !litert_match_network(graph, group, &network)) return false;
    select_nothing(graph, chosen);
    select_group(&network.group, chosen);
    select_match(&network.head, chosen);
    select_match(&network.tail, chosen);
    list_nodes(graph, chosen);
    if (!stands_alone(graph, chosen, &network.tail.tensor[NETWORK_HRMS], 1)) return false;
    litert_piece *piece = litert_open_network(graph, &network, self->kernels);
    if (piece == NULL) return false;
    *status = place(self, graph, chosen, TAKE_NETWORK, piece);
    return true;
}

static bool take_trunk(door *self, const litert_graph *graph, const litert_group *group,
                       const node_selection *chosen, litert_status *status) {
    int32_t outputs[BNNPAN_SUB_BANDS];
    for (int32_t i = 0; i < BNNPAN_SUB_BANDS; i++) outputs[i] = group->unit[group->blocks - 1][i]->output;
    select_nothing(graph, chosen);
    select_group(group, chosen);
    list_nodes(graph, chosen);
    if (!stands_alone(graph, chosen, outputs, BNNPAN_SUB_BANDS)) return false;
    litert_piece *piece = litert_open_trunk(graph, group, self->kernels);
    if (piece == NULL) return false;
    *status = place(self, graph, chosen, TAKE_TRUNK, piece);
    return true;
}

static litert_status take_groups(door *self, const litert_graph *graph, const node_selection *chosen) {
    litert_groups groups;
    litert_status status = litert_groups_open(&groups, graph) ? LITERT_OK : LITERT_ERROR;
    for (int32_t i = 0; i < groups.count && status == LITERT_OK; i++)
        if (!take_network(self, graph, &groups.group[i], chosen, &status))
            take_trunk(self, graph, &groups.group[i], chosen, &status);
    litert_groups_close(&groups);
    return status;
}

static litert_status take_operators(door *self, const litert_graph *graph, const node_selection *chosen) {
    litert_status status = LITERT_OK;
    chosen->nodes->size = 1;
    for (int32_t i = 0; i < graph->count && status == LITERT_OK; i++) {
        if (graph->operations[i].lce == LCE_NONE) continue;
        chosen->nodes->data[0] = graph->operations[i].node;
        status = graph->context->replace_node_subsets(graph->context, litert_node_registration(), chosen->nodes,
                                                      &self->delegate);
        self->taken[TAKE_OPERATOR]++;
    }
    return status;
}

static litert_status prepare(litert_context *context, litert_delegate *delegate) {
    door *self = (door *)(void *)delegate;
    litert_graph graph;
    node_selection chosen = {NULL, NULL};
    litert_status status = LITERT_ERROR;
    memset(self->taken, 0, sizeof self->taken);
    if (litert_graph_open(&graph, context)) {
        chosen.taken = calloc((size_t)graph.count + 1, sizeof *chosen.taken);
        chosen.nodes = malloc(sizeof(litert_ints) + ((size_t)graph.count + 1) * sizeof(int32_t));
    }
    if (chosen.taken != NULL && chosen.nodes != NULL) {
        status = self->largest > TAKE_OPERATOR ? take_groups(self, &graph, &chosen) : LITERT_OK;
        if (status == LITERT_OK) status = take_operators(self, &graph, &chosen);
    }
    if (status != LITERT_OK) context->report_error(context, "bnnpan: the delegate cannot take the graph");
    free(chosen.taken);
    free(chosen.nodes);
    litert_graph_close(&graph);
    return status;
}

static const char *const SIZES[PIECE_SIZES] = {"operator", "trunk", "network"};

static const char *read_option(door *self, const char *key, const char *value) {
    if (strcmp(key, "isa") == 0) {
        self->kernels = bnnpan_find_kernels(value);
        return self->kernels != NULL ? NULL : "bnnpan: this instruction set is not available";
    }
    for (int32_t i = 0; strcmp(key, "take") == 0 && i < PIECE_SIZES; i++)
        if (strcmp(value, SIZES[i]) == 0) {
            self->largest = (piece_size)i;
            return NULL;
        }
    return "bnnpan: options of the delegate are isa=NAME and take=network, trunk or operator";
}

/* What a runtime looks for in a delegate's library. */
BNNPAN_API litert_delegate *tflite_plugin_create_delegate(const char *const *keys, const char *const *values,
                                                          size_t count, void (*report)(const char *message));
BNNPAN_API void tflite_plugin_destroy_delegate(litert_delegate *delegate);

/* How many pieces of a size, named as in the options, the delegate took of the last graph; -1 for another name. */
BNNPAN_API int32_t bnnpan_litert_taken(const litert_delegate *delegate, const char *size);

litert_delegate *tflite_plugin_create_delegate(const char *const *keys, const char *const *values, size_t count,
                                               void (*report)(const char *message)) {
    door *self = calloc(1, sizeof *self);
    if (self == NULL) return NULL;
    self->delegate.prepare = prepare;
    self->delegate.data = &self->pending;
    /* Without it the runtime prepares all nodes first, and fails at operators it does not know. */
    self->delegate.flags = LITERT_ALLOW_DYNAMIC_TENSORS;
    self->kernels = bnnpan_find_kernels(NULL);
    self->largest = TAKE_NETWORK;
    for (size_t i = 0; i < count; i++) {
        const char *refusal = read_option(self, keys[i], values[i]);
        if (refusal == NULL) continue;
        if (report != NULL) report(refusal);
        free(self);
        return NULL;
    }
    return &self->delegate;
}

void tflite_plugin_destroy_delegate(litert_delegate *delegate) { free(delegate); }

int32_t bnnpan_litert_taken(const litert_delegate *delegate, const char *size) {
    const door *self = (const door *)(const void *)delegate;
    for (int32_t i = 0; i < PIECE_SIZES; i++)
        if (strcmp(size, SIZES[i]) == 0) return self->taken[i];
    return -1;
}
