/* Fuzz target of the C entry points (libFuzzer's, also driven by replay.c): bytes are decoded into a model and calls of
 * it, with hostile sizes, phases, pointers and buffers in between. What bnnpan.h allows must succeed, give the same
 * bytes whatever the arena held, and touch nothing but its buffers (which are exact allocations, for an address
 * sanitizer); everything else must be refused and write nothing. A broken promise aborts. */
#include <math.h>
#include <string.h>

#include "bnnpan.h"
#include "fuzz_engine.h"
#include "fuzz_input.h"

enum { LARGEST_ARENA = 64 << 20, LARGEST_WORK = 1000000, LARGEST_CALLS = 4 };

fuzz_counts fuzz_count;

/* Models */

typedef struct model_case {
    bnnpan_shape shape;
    buffer arrays[BNNPAN_ARRAY_COUNT];
    bnnpan_model *model;
} model_case;

static int in_range(int32_t value, int32_t largest) { return value >= 1 && value <= largest; }

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
        arrays[wrong].bytes += next(in) % 2 ? 4 : (size_t)-1;
        if (missing) arrays[wrong].data = NULL;
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

typedef int32_t entry_point(const void *arguments, void *arena, size_t arena_bytes);

/* With an exact arena, or one that is too short or missing; twice, the arena holding something else. */
static void call(input *in, entry_point *entry, const void *arguments, size_t needed, int allowed, const buffer *out) {
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

static int32_t side(input *in) {
    static const int32_t WILD[] = {0, -2, 1, 3, 32768, 32770, 65536, INT32_MAX, INT32_MAX - 1, INT32_MIN};
    return rarely(in) ? pick(in, WILD, sizeof WILD / sizeof WILD[0]) : 2 * (1 + next(in) % 10);
}

static int side_is_allowed(int32_t length) { return length >= 2 && length <= 32768 && length % 2 == 0; }

/* Multiply-adds of `pixels`, roughly, and `more`. */
static int is_little_work(const bnnpan_shape *s, int64_t pixels, int64_t more) {
    const int64_t convolved = (int64_t)s->channels * (s->bands + 1) * 18;
    const int64_t trunk = (int64_t)s->blocks * s->channels * (s->channels / 3 + 20);
    return pixels * (convolved + trunk) + more <= LARGEST_WORK;
}

/* Windows in network units: PAN, LMS, affines and output, or PAN, LMS and affines as output. */

enum { LARGEST_ARRAYS = 4 };

typedef struct window_case {
    const bnnpan_model *model;
    int32_t count, height, width;
    buffer arrays[LARGEST_ARRAYS];
    float *passed[LARGEST_ARRAYS];
    int array_count;
    int allowed;
} window_case;

/* One draw a statement: within one, C leaves their order open. */
static window_case decode_window(input *in, const model_case *made) {
    window_case window = {.model = rarely(in) ? NULL : made->model};
    window.height = side(in);
    window.width = side(in);
    return window;
}

static size_t affines_of(const bnnpan_shape *s) { return (size_t)(s->blocks * 2 * s->channels); }

static void take_arrays(input *in, window_case *window, const size_t *floats, int count) {
    window->array_count = count;
    for (int i = 0; i < count; i++) {
        const int how = hostility(in, sizeof(float));
        window->arrays[i] = take_as(in, floats[i] * sizeof(float), sizeof(float), how);
        window->passed[i] = passed(&window->arrays[i], how);
        fill_floats(in, &window->arrays[i]);
        window->allowed = window->allowed && how == GIVEN;
    }
}

static void release_arrays(const window_case *window) {
    for (int i = 0; i < window->array_count; i++) release(&window->arrays[i]);
}

static int32_t enter_fuse(const void *arguments, void *arena, size_t arena_bytes) {
    const window_case *w = arguments;
    return bnnpan_fuse(w->model, w->height, w->width, w->passed[0], w->passed[1], w->passed[2], w->passed[3], arena,
                       arena_bytes);
}

static void call_fuse(input *in, const model_case *made) {
    const bnnpan_shape *s = &made->shape;
    window_case w = decode_window(in, made);
    const int sized = side_is_allowed(w.height) && side_is_allowed(w.width);
    const size_t pixels = sized ? (size_t)w.height * (size_t)w.width : 1, bands = (size_t)s->bands;
    const size_t needed = bnnpan_fuse_arena_bytes(w.model, w.height, w.width);
    w.allowed = sized && w.model != NULL;
    promise((needed != 0) == w.allowed, "a window has an arena exactly when its size is right");
    if (needed > LARGEST_ARENA || !is_little_work(s, (int64_t)pixels, 0)) return;
    take_arrays(in, &w, (const size_t[]){pixels, pixels * bands, affines_of(s), pixels * bands}, 4);
    call(in, enter_fuse, &w, needed, w.allowed, &w.arrays[3]);
    release_arrays(&w);
}

static int32_t enter_calibrate(const void *arguments, void *arena, size_t arena_bytes) {
    const window_case *w = arguments;
    return bnnpan_calibrate(w->model, w->count, w->height, w->width, w->passed[0], w->passed[1], w->passed[2], arena,
                            arena_bytes);
}

static void call_calibrate(input *in, const model_case *made) {
    static const int32_t COUNTS[] = {0, -1, INT32_MIN};
    const bnnpan_shape *s = &made->shape;
    window_case w = decode_window(in, made);
    w.count = rarely(in) ? pick(in, COUNTS, sizeof COUNTS / sizeof COUNTS[0]) : 1 + next(in) % 3;
    const int sized = side_is_allowed(w.height) && side_is_allowed(w.width);
    const size_t pixels = sized ? (size_t)w.height * (size_t)w.width : 1, bands = (size_t)s->bands;
    const size_t patches = w.count > 0 ? (size_t)w.count : 1;
    const size_t needed = bnnpan_calibrate_arena_bytes(w.model, w.height, w.width);
    promise((needed != 0) == (sized && w.model != NULL), "a patch has an arena exactly when its size is right");
    w.allowed = sized && w.model != NULL && w.count > 0;
    const int64_t encoded = (int64_t)(pixels * patches) * s->latent * (s->bands + 1) * 9;
    const int64_t denoised = 6 * (int64_t)s->latent * s->latent * s->prior_steps;
    const int64_t passes = (int64_t)patches * s->blocks;
    if (needed > LARGEST_ARENA || !is_little_work(s, (int64_t)pixels * passes, encoded + denoised)) return;
    take_arrays(in, &w, (const size_t[]){pixels * patches, pixels * patches * bands, affines_of(s)}, 3);
    call(in, enter_calibrate, &w, needed, w.allowed, &w.arrays[2]);
    release_arrays(&w);
}

/* Tiles in DN */

enum { ROW_WEIGHTS, COL_WEIGHTS, PAN, MS, PRODUCT, TILE_BUFFERS };

typedef struct tile_case {
    const bnnpan_model *model;
    bnnpan_tile tile;
    const bnnpan_tile *passed;
    const float *affines;
} tile_case;

static int32_t enter_fuse_tile(const void *arguments, void *arena, size_t arena_bytes) {
    const tile_case *t = arguments;
    return bnnpan_fuse_tile(t->model, t->passed, t->affines, arena, arena_bytes);
}

static int axis_is_allowed(const bnnpan_axis *axis, int32_t phase) {
    return in_range(axis->ratio, 64) && in_range(axis->taps, 64) && phase >= 0 && phase < axis->ratio;
}

static int part_is_allowed(int32_t first, int32_t count, int32_t length) {
    return first >= 0 && count >= 1 && (int64_t)first + count <= length;
}

/* Below `limit`, rarely not. */
static int32_t place(input *in, int32_t limit) {
    const int32_t extremes[] = {-1, limit, INT32_MAX, INT32_MIN};
    if (rarely(in) || limit < 1) return pick(in, extremes, sizeof extremes / sizeof extremes[0]);
    return next(in) % limit;
}

/* What is left of `length` from `first` on, or less; rarely more. */
static int32_t extent(input *in, int32_t first, int32_t length) {
    const int32_t below = place(in, first >= 0 && first < length ? length - first : 1);
    return below == INT32_MAX ? below : below + 1;
}

static float decode_dn_scale(input *in, int *allowed) {
    const float scales[] = {1.0f, 255.0f, 2047.0f, 1e-45f, 3e38f, INFINITY, 0.0f, -1.0f, NAN};
    const int choice = rarely(in) ? next(in) % 9 : next(in) % 3;
    *allowed = *allowed && choice < 6;
    return scales[choice];
}

static bnnpan_tile decode_tile(input *in, int *allowed) {
    bnnpan_tile tile = {.height = side(in)};
    tile.width = side(in);
    const int usual = !rarely(in);
    tile.sample = rarely(in) ? pick(in, (const int32_t[]){-1, 4, INT32_MAX, INT32_MIN}, 4) : next(in) % 4;
    tile.rows.ratio = usual ? 1 + next(in) % 6 : size(in, 64, 64);
    tile.cols.ratio = usual ? 1 + next(in) % 6 : size(in, 64, 64);
    tile.rows.taps = usual ? 1 + next(in) % 8 : size(in, 64, 64);
    tile.cols.taps = usual ? 1 + next(in) % 8 : size(in, 64, 64);
    tile.row_phase = place(in, tile.rows.ratio);
    tile.col_phase = place(in, tile.cols.ratio);
    tile.core_row = place(in, tile.height);
    tile.core_col = place(in, tile.width);
    tile.core_height = extent(in, tile.core_row, tile.height);
    tile.core_width = extent(in, tile.core_col, tile.width);
    tile.has_pan_nodata = next(in) % 2;
    tile.has_ms_nodata = next(in) % 2;
    tile.pan_nodata = next(in);
    tile.ms_nodata = rarely(in) ? NAN : next(in);
    tile.dn_scale = decode_dn_scale(in, allowed);
    *allowed = *allowed && side_is_allowed(tile.height) && side_is_allowed(tile.width) && tile.sample >= 0 &&
               tile.sample < BNNPAN_SAMPLE_COUNT && axis_is_allowed(&tile.rows, tile.row_phase) &&
               axis_is_allowed(&tile.cols, tile.col_phase) &&
               part_is_allowed(tile.core_row, tile.core_height, tile.height) &&
               part_is_allowed(tile.core_col, tile.core_width, tile.width);
    return tile;
}

static size_t ms_length(const bnnpan_axis *axis, int32_t phase, int32_t count) {
    return (size_t)((phase + count - 1) / axis->ratio + axis->taps);
}

/* Bytes of the arrays of a tile that is allowed. */
static void count_tile(const bnnpan_tile *t, size_t bands, size_t alignment, size_t bytes[TILE_BUFFERS]) {
    bytes[ROW_WEIGHTS] = (size_t)(t->rows.ratio * t->rows.taps) * sizeof(float);
    bytes[COL_WEIGHTS] = (size_t)(t->cols.ratio * t->cols.taps) * sizeof(float);
    bytes[PAN] = (size_t)t->height * (size_t)t->width * alignment;
    bytes[MS] = bands * ms_length(&t->rows, t->row_phase, t->height) * ms_length(&t->cols, t->col_phase, t->width) *
                alignment;
    bytes[PRODUCT] = bands * (size_t)t->core_height * (size_t)t->core_width * alignment;
}

static void point_at(bnnpan_tile *tile, int id, void *memory) {
    if (id == ROW_WEIGHTS) tile->rows.weights = memory;
    else if (id == COL_WEIGHTS) tile->cols.weights = memory;
    else if (id == PAN) tile->pan = memory;
    else if (id == MS) tile->ms = memory;
    else tile->product = memory;
}

static int64_t interpolated(const bnnpan_tile *t, int64_t bands) {
    return bands * t->height * ((int64_t)t->width + t->rows.taps) * (t->rows.taps + t->cols.taps);
}

static void call_fuse_tile(input *in, const model_case *made) {
    static const size_t SAMPLE_BYTES[] = {1, 2, 2, 4};
    const bnnpan_shape *s = &made->shape;
    int allowed = 1;
    tile_case t = {.model = rarely(in) ? NULL : made->model};
    t.tile = decode_tile(in, &allowed);
    const size_t needed = bnnpan_fuse_tile_arena_bytes(t.model, &t.tile);
    promise(!allowed || (needed != 0) == (t.model != NULL), "a right tile has an arena");
    const int64_t pixels = allowed ? (int64_t)t.tile.height * t.tile.width : 1;
    const int64_t more = allowed ? interpolated(&t.tile, s->bands) : 0;
    if (needed > LARGEST_ARENA || !is_little_work(s, pixels, more)) return;
    const size_t alignment = allowed ? SAMPLE_BYTES[t.tile.sample] : 1;
    size_t bytes[TILE_BUFFERS] = {sizeof(float), sizeof(float), 1, 1, 1};
    if (allowed) count_tile(&t.tile, (size_t)s->bands, alignment, bytes);
    buffer buffers[TILE_BUFFERS];
    for (int id = 0; id < TILE_BUFFERS; id++) {
        const size_t aligned = id == ROW_WEIGHTS || id == COL_WEIGHTS ? sizeof(float) : alignment;
        const int how = hostility(in, aligned);
        buffers[id] = take_as(in, bytes[id], aligned, how);
        point_at(&t.tile, id, passed(&buffers[id], how));
        allowed = allowed && how == GIVEN;
        if (id == ROW_WEIGHTS || id == COL_WEIGHTS) fill_floats(in, &buffers[id]);
        else fill_bytes(in, &buffers[id]);
        /* Phases whose weights are all 0. */
        if (rarely(in)) memset(buffers[id].at, 0, bytes[id]);
    }
    const int how = hostility(in, sizeof(float));
    const buffer affines = take_as(in, affines_of(s) * sizeof(float), sizeof(float), how);
    fill_floats(in, &affines);
    t.affines = passed(&affines, how);
    t.passed = rarely(in) ? NULL : &t.tile;
    allowed = allowed && how == GIVEN && t.passed != NULL && t.model != NULL;
    call(in, enter_fuse_tile, &t, needed, allowed, &buffers[PRODUCT]);
    for (int id = 0; id < TILE_BUFFERS; id++) release(&buffers[id]);
    release(&affines);
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
        default: call_fuse_tile(&in, &made); break;
        }
    }
    bnnpan_model_free(made.model);
    return 0;
}
