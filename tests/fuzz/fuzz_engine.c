/* Fuzz target of the C entry points (libFuzzer's, also driven by replay.c): bytes are decoded into a model and calls of
 * it, with hostile sizes, phases, pointers and buffers in between. What bnnpan.h allows must succeed, give the same
 * bytes whatever the arena held, and touch nothing but its buffers (which are exact allocations, for an address
 * sanitizer); everything else must be refused and write nothing. A broken promise aborts. */
#include <string.h>

#include "fuzz_case.h"
#include "fuzz_engine.h"

enum { LARGEST_CALLS = 4 };

fuzz_counts fuzz_count;

/* Models */

static int shape_is_allowed(const bnnpan_shape *s) {
    return in_range(s->bands, 64) && in_range(s->channels, 256) && in_range(s->blocks, 16) &&
           in_range(s->latent, 1024) && in_range(s->prior_steps, 1000) && s->outer_skip >= 0 && s->outer_skip <= 1 &&
           s->rectified >= 0 && s->rectified <= 1;
}

static void count_bytes(const bnnpan_shape *s, size_t bytes[BNNPAN_ARRAY_COUNT]) {
    const size_t b = (size_t)s->bands, c = (size_t)s->channels, n = (size_t)s->blocks, l = (size_t)s->latent;
    const size_t t = (size_t)s->prior_steps, u = 4 * n * c;
    const size_t counts[BNNPAN_ARRAY_COUNT] = {
        c * (b + 1) * 9, c, b * c * 9, b, u * 9 * ((c + 31) / 32), u, u, u, u, u, u, u, u, n * 2 * c * l, n * 2 * c,
        n * c * 3 * c, n * c, l * (b + 1) * 9, l, l * l, l, l * l, l, l * (2 * l + 1), l, l * l, l, t, t, l};
    for (int id = 0; id < BNNPAN_ARRAY_COUNT; id++) bytes[id] = counts[id] * sizeof(float);
}

static bnnpan_shape decode_shape(input *in) {
    static const int32_t CHANNELS[] = {8, 1, 16, 31, 32, 33, 64, 97};
    const int usual = !rarely(in);
    bnnpan_shape shape = {.channels = pick(in, CHANNELS, sizeof CHANNELS / sizeof CHANNELS[0])};
    if (!usual) shape.channels = size(in, 40, 256);
    shape.bands = usual ? 1 + next(in) % 4 : size(in, 8, 64);
    shape.blocks = usual ? 1 + next(in) % 3 : size(in, 4, 16);
    shape.latent = usual ? 1 + next(in) % 4 : size(in, 8, 1024);
    shape.prior_steps = usual ? 1 : size(in, 3, 1000);
    shape.outer_skip = usual ? next(in) % 2 : size(in, 2, 2) % 3;
    shape.rectified = usual ? next(in) % 2 : size(in, 2, 2) % 3;
    return shape;
}

static const char *decode_isa(input *in) {
    if (!rarely(in)) return bnnpan_isa_name(next(in) % 2);
    return next(in) % 2 ? "abacus" : "";
}

static void create(input *in, model_case *made) {
    bnnpan_array arrays[BNNPAN_ARRAY_COUNT];
    size_t bytes[BNNPAN_ARRAY_COUNT] = {0};
    const char *isa = decode_isa(in);
    made->shape = decode_shape(in);
    int allowed = shape_is_allowed(&made->shape) && (isa == NULL || strcmp(isa, bnnpan_isa_name(0)) == 0);
    if (shape_is_allowed(&made->shape)) count_bytes(&made->shape, bytes);
    const int wrong = rarely(in) ? next(in) % BNNPAN_ARRAY_COUNT : -1, missing = next(in) % 2;
    for (int id = 0; id < BNNPAN_ARRAY_COUNT; id++) {
        made->arrays[id] = take(bytes[id], 4);
        if (id == BNNPAN_TRUNK_BITS) fill_bytes(in, &made->arrays[id]);
        else fill_floats(in, &made->arrays[id]);
        arrays[id] = (bnnpan_array){made->arrays[id].at, bytes[id]};
    }
    if (wrong >= 0) {
        allowed = 0;
        if (missing) arrays[wrong].data = NULL;
        else arrays[wrong].bytes += next(in) % 2 ? 4 : (size_t)-1;
    }
    const bnnpan_shape *shape = rarely(in) ? NULL : &made->shape;
    const bnnpan_array *given = rarely(in) ? NULL : arrays;
    allowed = allowed && shape != NULL && given != NULL;
    made->model = bnnpan_model_create(shape, given, isa);
    promise((made->model != NULL) == allowed, "a model is made exactly when its shape and arrays are right");
    fuzz_count.models += made->model != NULL;
    for (int id = 0; id < BNNPAN_ARRAY_COUNT; id++) release(&made->arrays[id]);
}

/* Calls */

static void check_status(int32_t status, int allowed, const buffer *out) {
    promise(status >= BNNPAN_OK && status <= BNNPAN_NO_ARGUMENT, "the status is one of the header's");
    promise((status == BNNPAN_OK) == (allowed != 0), "a call succeeds exactly when its arguments are right");
    promise(allowed || is_untouched(out->at, out->bytes), "a refused call writes nothing");
    if (allowed) fuzz_count.done++;
    else fuzz_count.refused++;
}

void call_twice(input *in, entry_point *entry, const void *arguments, size_t needed, int allowed, const buffer *out) {
    const int how = rarely(in) ? MISSING : GIVEN;
    const size_t bytes = rarely(in) && needed > 0 ? needed - 1 - next(in) % needed : needed;
    const buffer arena = take(bytes, next(in) % 64), first = take(out->bytes, 0);
    for (int fill = 0; fill < 2; fill++) {
        memset(arena.at, fill ? 0xff : 0, bytes);
        memset(out->at, FILL, out->bytes);
        const int32_t status = entry(arguments, passed(&arena, how), bytes);
        check_status(status, allowed && how == GIVEN && bytes >= needed, out);
        if (fill == 0) memcpy(first.at, out->at, out->bytes);
    }
    promise(memcmp(first.at, out->at, out->bytes) == 0, "what the arena held does not show");
    release(&first);
    release(&arena);
}

static void ask_names(input *in, const model_case *made) {
    const int32_t index = place(in, 8);
    const char *name = bnnpan_isa_name(index);
    promise(index >= 0 || name == NULL, "a negative index has no name");
    promise(strcmp(bnnpan_model_isa(made->model), bnnpan_isa_name(0)) == 0, "a model knows its instruction set");
    promise(bnnpan_model_isa(NULL) == NULL, "no model has no instruction set");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    input in = {data, bytes, 1};
    model_case made;
    fuzz_count.inputs++;
    create(&in, &made);
    for (int i = 0; i < LARGEST_CALLS && made.model != NULL; i++) {
        switch (next(&in) % 8) {
        case 0: call_calibrate(&in, &made); break;
        case 1:
        case 2: call_fuse(&in, &made); break;
        case 3: ask_names(&in, &made); break;
        case 4: call_bench(&in, &made); break;
        default: call_fuse_tile(&in, &made); break;
        }
    }
    bnnpan_model_free(made.model);
    return 0;
}
