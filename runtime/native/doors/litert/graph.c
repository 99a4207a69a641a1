#include "graph.h"

#include <stdlib.h>
#include <string.h>

static bool read_operations(litert_graph *graph) {
    litert_context *context = graph->context;
    litert_ints *plan;
    if (context->get_execution_plan(context, &plan) != LITERT_OK) return false;
    graph->count = plan->size;
    graph->operations = calloc((size_t)plan->size + 1, sizeof *graph->operations);
    if (graph->operations == NULL) return false;
    for (int32_t i = 0; i < plan->size; i++) {
        litert_node *node;
        litert_registration *registration;
        if (context->get_node_and_registration(context, plan->data[i], &node, &registration) != LITERT_OK) return false;
        const bool custom = registration->builtin_code == LITERT_CUSTOM;
        graph->operations[i] = (litert_operation){
            .node = plan->data[i],
            .code = registration->builtin_code,
            .lce = custom ? lce_operator_of(registration->custom_name) : LCE_NONE,
            .inputs = node->inputs,
            .outputs = node->outputs,
            .options = node->builtin_data,
            .custom_options = node->custom_initial_data,
            .custom_options_bytes = (size_t)node->custom_initial_data_size,
        };
    }
    return true;
}

/* Whether a list has the same tensor at an earlier place. */
static bool repeats(const litert_ints *list, int32_t place) {
    for (int32_t i = 0; i < place; i++)
        if (list->data[i] == list->data[place]) return true;
    return false;
}

static bool is_listed(const litert_graph *graph, const litert_ints *list, int32_t place) {
    return list->data[place] >= 0 && list->data[place] < graph->tensors && !repeats(list, place);
}

static void connect(litert_graph *graph, int32_t *filled) {
    for (int32_t i = 0; i < graph->tensors; i++) graph->producer[i] = LITERT_NOWHERE;
    for (int32_t i = 0; i < graph->count; i++) {
        const litert_ints *inputs = graph->operations[i].inputs, *outputs = graph->operations[i].outputs;
        for (int32_t j = 0; j < outputs->size; j++)
            if (is_listed(graph, outputs, j)) graph->producer[outputs->data[j]] = i;
        for (int32_t j = 0; j < inputs->size; j++)
            if (is_listed(graph, inputs, j))
                graph->consumers[graph->first_consumer[inputs->data[j]] + filled[inputs->data[j]]++] = i;
    }
}

static bool read_connections(litert_graph *graph) {
    const size_t tensors = (size_t)graph->tensors;
    graph->producer = calloc(tensors + 1, sizeof(int32_t));
    graph->first_consumer = calloc(tensors + 1, sizeof(int32_t));
    int32_t *filled = calloc(tensors + 1, sizeof(int32_t));
    if (graph->producer != NULL && graph->first_consumer != NULL && filled != NULL) {
        for (int32_t i = 0; i < graph->count; i++)
            for (int32_t j = 0; j < graph->operations[i].inputs->size; j++)
                if (is_listed(graph, graph->operations[i].inputs, j))
                    graph->first_consumer[graph->operations[i].inputs->data[j] + 1]++;
        for (int32_t i = 0; i < graph->tensors; i++) graph->first_consumer[i + 1] += graph->first_consumer[i];
        graph->consumers = calloc((size_t)graph->first_consumer[graph->tensors] + 1, sizeof(int32_t));
        if (graph->consumers != NULL) connect(graph, filled);
    }
    free(filled);
    return graph->consumers != NULL;
}

bool litert_graph_open(litert_graph *graph, litert_context *context) {
    memset(graph, 0, sizeof *graph);
    graph->context = context;
    graph->tensors = (int32_t)context->tensors_size;
    return read_operations(graph) && read_connections(graph);
}

void litert_graph_close(litert_graph *graph) {
    free(graph->operations);
    free(graph->producer);
    free(graph->first_consumer);
    free(graph->consumers);
}

const litert_operation *litert_only_consumer(const litert_graph *graph, int32_t tensor) {
    const int32_t first = graph->first_consumer[tensor];
    return graph->first_consumer[tensor + 1] - first == 1 ? &graph->operations[graph->consumers[first]] : NULL;
}

litert_tensor *litert_tensor_of(const litert_context *context, const litert_ints *list, int32_t place) {
    if (place >= list->size || list->data[place] < 0 || (size_t)list->data[place] >= context->tensors_size) return NULL;
    return &context->tensors[list->data[place]];
}

bool litert_same_dims(const litert_tensor *one, const litert_tensor *other) {
    const size_t bytes = (size_t)one->dims->size * sizeof one->dims->data[0];
    return one->dims->size == other->dims->size && memcmp(one->dims->data, other->dims->data, bytes) == 0;
}

litert_status litert_resize(litert_context *context, litert_tensor *tensor, int32_t rank, const int32_t *dims) {
    const size_t bytes = (size_t)rank * sizeof *dims;
    litert_ints *list = malloc(sizeof *list + bytes); /* the runtime frees it, with free() */
    if (list == NULL) return LITERT_ERROR;
    list->size = rank;
    memcpy(list->data, dims, bytes);
    return context->resize_tensor(context, tensor, list);
}

bool litert_is_constant(const litert_tensor *tensor, int32_t type, int64_t count) {
    if (tensor == NULL || tensor->type != type || tensor->allocation_type != LITERT_READ_ONLY || tensor->data == NULL)
        return false;
    const litert_ints *dims = tensor->dims;
    for (int32_t i = 0; i + 1 < dims->size; i++)
        if (dims->data[i] != 1) return false;
    return (dims->size > 0 ? litert_last_dim(tensor) : 1) == count &&
           tensor->bytes == (size_t)count * sizeof(float);
}
