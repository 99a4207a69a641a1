/* The door for LiteRT: an external delegate, `load_delegate("libbnnpan.so")`.
 *
 * It takes each operator of Larq Compute Engine as a node of its own, and before that, whole groups of NBC units as
 * one trunk, where a group is exactly what the exporter writes. The runtime keeps the rest.
 *
 * Options: "isa", an instruction set of bnnpan_isa_name; "trunk", "0" to take single operators only. */
#include <stdlib.h>
#include <string.h>

#include "node.h"
#include "trunk_node.h"

typedef struct door {
    litert_delegate delegate;
    trunk_node *pending; /* on its way into the node that will own it */
    const bnnpan_kernels *kernels;
    bool takes_trunks;
} door;

typedef void report_error(const char *message);

/* Operations of a graph that go into one node; `nodes` has room for all. */
typedef struct node_selection {
    bool *taken; /* per position */
    litert_ints *nodes;
} node_selection;

static void list_nodes(const litert_graph *graph, const node_selection *chosen) {
    chosen->nodes->size = 0;
    for (int32_t i = 0; i < graph->count; i++)
        if (chosen->taken[i]) chosen->nodes->data[chosen->nodes->size++] = graph->operations[i].node;
}

static void select_group(const litert_graph *graph, const litert_group *group, const node_selection *chosen) {
    memset(chosen->taken, 0, (size_t)graph->count * sizeof *chosen->taken);
    for (int32_t block = 0; block < group->blocks; block++)
        for (int32_t i = 0; i < BNNPAN_UNITS_PER_BLOCK; i++)
            for (int32_t k = 0; k < group->unit[block][i]->operations; k++)
                chosen->taken[group->unit[block][i]->operation[k]] = true;
    list_nodes(graph, chosen);
}

static bool is_output(const litert_group *group, int32_t tensor) {
    for (int32_t i = 0; i < BNNPAN_UNITS_PER_BLOCK; i++)
        if (group->unit[group->blocks - 1][i]->tensor[UNIT_OUTPUT] == tensor) return true;
    return false;
}

/* Whether the runtime can run the operations in one piece, with nothing of their inside needed elsewhere. */
static bool stands_alone(litert_context *context, const litert_group *group, const litert_ints *nodes) {
    litert_partition *parts;
    int32_t count;
    if (context->preview_partitioning(context, nodes, &parts, &count) != LITERT_OK || count != 1) return false;
    for (int32_t i = 0; i < parts->outputs->size; i++)
        if (!is_output(group, parts->outputs->data[i])) return false;
    return parts->nodes->size == nodes->size;
}

static litert_status take_trunks(door *self, litert_graph *graph, const node_selection *chosen) {
    litert_groups groups;
    litert_status status = litert_groups_open(&groups, graph) ? LITERT_OK : LITERT_ERROR;
    for (int32_t i = 0; i < groups.count && status == LITERT_OK; i++) {
        select_group(graph, &groups.group[i], chosen);
        if (!stands_alone(graph->context, &groups.group[i], chosen->nodes)) continue;
        self->pending = litert_trunk_open(graph, &groups.group[i], self->kernels);
        if (self->pending == NULL) continue;
        status = graph->context->replace_node_subsets(graph->context, litert_trunk_registration(), chosen->nodes,
                                                      &self->delegate);
        litert_trunk_close(self->pending);
        self->pending = NULL;
        for (int32_t k = 0; k < graph->count; k++)
            if (chosen->taken[k]) graph->operations[k].lce = LCE_NONE;
    }
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
    }
    return status;
}

static litert_status prepare(litert_context *context, litert_delegate *delegate) {
    door *self = (door *)(void *)delegate;
    litert_graph graph;
    node_selection chosen = {NULL, NULL};
    litert_status status = LITERT_ERROR;
    if (litert_graph_open(&graph, context)) {
        chosen.taken = calloc((size_t)graph.count + 1, sizeof *chosen.taken);
        chosen.nodes = malloc(sizeof(litert_ints) + ((size_t)graph.count + 1) * sizeof(int32_t));
    }
    if (chosen.taken != NULL && chosen.nodes != NULL) {
        status = self->takes_trunks ? take_trunks(self, &graph, &chosen) : LITERT_OK;
        if (status == LITERT_OK) status = take_operators(self, &graph, &chosen);
    }
    if (status != LITERT_OK) context->report_error(context, "bnnpan: the delegate cannot take the graph");
    free(chosen.taken);
    free(chosen.nodes);
    litert_graph_close(&graph);
    return status;
}

static const char *read_option(door *self, const char *key, const char *value) {
    if (strcmp(key, "isa") == 0) {
        self->kernels = bnnpan_find_kernels(value);
        return self->kernels != NULL ? NULL : "bnnpan: this instruction set is not available";
    }
    if (strcmp(key, "trunk") == 0 && (strcmp(value, "0") == 0 || strcmp(value, "1") == 0)) {
        self->takes_trunks = value[0] == '1';
        return NULL;
    }
    return "bnnpan: options of the delegate are isa=NAME and trunk=0 or 1";
}

/* What a runtime looks for in a delegate's library. */
BNNPAN_API litert_delegate *tflite_plugin_create_delegate(const char *const *keys, const char *const *values,
                                                          size_t count, report_error *report);
BNNPAN_API void tflite_plugin_destroy_delegate(litert_delegate *delegate);

litert_delegate *tflite_plugin_create_delegate(const char *const *keys, const char *const *values, size_t count,
                                               report_error *report) {
    door *self = calloc(1, sizeof *self);
    if (self == NULL) return NULL;
    self->delegate.prepare = prepare;
    self->delegate.data = &self->pending;
    /* Without it the runtime prepares all nodes first, and fails at operators it does not know. */
    self->delegate.flags = LITERT_ALLOW_DYNAMIC_TENSORS;
    self->kernels = bnnpan_find_kernels(NULL);
    self->takes_trunks = true;
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
