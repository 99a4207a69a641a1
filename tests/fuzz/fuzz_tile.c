/* Tiles in DN, fused or timed. */
#include <math.h>

#include "bench/bench.h"
#include "fuzz_case.h"

enum { ROW_WEIGHTS, COL_WEIGHTS, MS_OFFSET, MS_SCALE, INJECTED, SHRUNK, PAN, MS, PRODUCT, TILE_BUFFERS };

static int holds_floats(int id) { return id <= SHRUNK; }
static int is_injecting(int id) { return id == INJECTED || id == SHRUNK; }

typedef struct tile_case {
    const bnnpan_model *model;
    bnnpan_tile tile;
    buffer buffers[TILE_BUFFERS];
    const bnnpan_tile *passed;
    const float *affines;
    int32_t stage, repeats; /* of a timing, like the next */
    double *seconds;
    int allowed;
} tile_case;

static int32_t enter_fuse_tile(const void *arguments, void *arena, size_t arena_bytes) {
    const tile_case *given = arguments;
    return bnnpan_fuse_tile(given->model, given->passed, given->affines, arena, arena_bytes);
}

static int32_t enter_bench(const void *arguments, void *arena, size_t arena_bytes) {
    const tile_case *given = arguments;
    return bnnpan_bench_run(given->model, given->passed, given->stage, given->repeats, arena, arena_bytes,
                            given->seconds);
}

static int axis_is_allowed(const bnnpan_axis *axis, int32_t phase) {
    return in_range(axis->ratio, 64) && in_range(axis->taps, 64) && phase >= 0 && phase < axis->ratio;
}

static int part_is_allowed(int32_t first, int32_t count, int32_t length) {
    return first >= 0 && count >= 1 && (int64_t)first + count <= length;
}

static int scale_is_allowed(float scale) { return scale > 0.0f && isfinite(scale); }

static int tile_is_allowed(const bnnpan_tile *tile) {
    return side_is_allowed(tile->height) && side_is_allowed(tile->width) && tile->sample >= 0 &&
           tile->sample < BNNPAN_SAMPLE_COUNT && axis_is_allowed(&tile->rows, tile->row_phase) &&
           axis_is_allowed(&tile->cols, tile->col_phase) && scale_is_allowed(tile->pan_scale) &&
           tile->pan_stride >= tile->width &&
           part_is_allowed(tile->core_row, tile->core_height, tile->height) &&
           part_is_allowed(tile->core_col, tile->core_width, tile->width);
}

/* What is left of `length` from `first` on, or less; rarely more. */
static int32_t extent(input *in, int32_t first, int32_t length) {
    const int32_t below = place(in, first >= 0 && first < length ? length - first : 1);
    return below == INT32_MAX ? below : below + 1;
}

static float decode_scale(input *in) {
    const float scales[] = {1.0f, 255.0f, 2047.0f, 1e-45f, 3e38f, INFINITY, 0.0f, -1.0f, NAN};
    return scales[rarely(in) ? next(in) % 9 : next(in) % 3];
}

/* The width or a little more; rarely less. */
static int32_t stride(input *in, int32_t width) {
    const int32_t more = next(in) % 4;
    if (rarely(in)) return pick(in, (const int32_t[]){0, 1, -1, INT32_MIN}, 4);
    return width <= INT32_MAX - more ? width + more : width;
}

static bnnpan_tile decode_tile(input *in) {
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
    tile.pan_stride = stride(in, tile.width);
    tile.core_row = place(in, tile.height);
    tile.core_col = place(in, tile.width);
    tile.core_height = extent(in, tile.core_row, tile.height);
    tile.core_width = extent(in, tile.core_col, tile.width);
    tile.has_pan_nodata = next(in) % 2;
    tile.has_ms_nodata = next(in) % 2;
    tile.pan_nodata = next(in);
    tile.ms_nodata = rarely(in) ? NAN : next(in);
    tile.pan_scale = decode_scale(in);
    tile.pan_offset = rarely(in) ? NAN : next(in);
    return tile;
}

static size_t ms_length(const bnnpan_axis *axis, int32_t phase, int32_t count) {
    return (size_t)((phase + count - 1) / axis->ratio + axis->taps);
}

/* Bytes of the arrays of a tile that is allowed. */
static void count_tile(const bnnpan_tile *tile, size_t bands, size_t alignment, size_t bytes[TILE_BUFFERS]) {
    bytes[ROW_WEIGHTS] = (size_t)(tile->rows.ratio * tile->rows.taps) * sizeof(float);
    bytes[COL_WEIGHTS] = (size_t)(tile->cols.ratio * tile->cols.taps) * sizeof(float);
    const size_t ms_pixels = ms_length(&tile->rows, tile->row_phase, tile->height) *
                             ms_length(&tile->cols, tile->col_phase, tile->width);
    const size_t pan_rows = (size_t)tile->height - 1;
    bytes[SHRUNK] = ms_pixels * sizeof(float);
    bytes[PAN] = (pan_rows * (size_t)tile->pan_stride + (size_t)tile->width) * alignment;
    bytes[MS] = bands * ms_pixels * alignment;
    bytes[PRODUCT] = bands * (size_t)tile->core_height * (size_t)tile->core_width * alignment;
}

static void point_at(bnnpan_tile *tile, int id, void *memory) {
    if (id == ROW_WEIGHTS) tile->rows.weights = memory;
    else if (id == COL_WEIGHTS) tile->cols.weights = memory;
    else if (id == MS_OFFSET) tile->ms_offset = memory;
    else if (id == MS_SCALE) tile->ms_scale = memory;
    else if (id == INJECTED) tile->injected = memory;
    else if (id == SHRUNK) tile->shrunk = memory;
    else if (id == PAN) tile->pan = memory;
    else if (id == MS) tile->ms = memory;
    else tile->product = memory;
}

static int64_t interpolated(const bnnpan_tile *tile, int64_t bands) {
    return bands * tile->height * ((int64_t)tile->width + tile->rows.taps) * (tile->rows.taps + tile->cols.taps);
}

/* Whether all of them are allowed. */
static int fill_scales(input *in, const buffer *memory) {
    int allowed = 1;
    for (size_t i = 0; i < memory->bytes / sizeof(float); i++) {
        const float scale = decode_scale(in);
        memcpy(memory->at + i * sizeof scale, &scale, sizeof scale);
        allowed = allowed && scale_is_allowed(scale);
    }
    return allowed;
}

/* The tile's arrays, of the sizes it says if they are allowed. */
static void take_buffers(input *in, tile_case *given, size_t bands) {
    static const size_t SAMPLE_BYTES[] = {1, 2, 2, 4};
    const size_t sample_bytes = given->allowed ? SAMPLE_BYTES[given->tile.sample] : 1;
    size_t bytes[TILE_BUFFERS] = {sizeof(float), sizeof(float), 0, 0, 0, 0, 1, 1, 1};
    for (int id = MS_OFFSET; id <= INJECTED; id++) bytes[id] = bands * sizeof(float);
    bytes[SHRUNK] = sizeof(float);
    if (given->allowed) count_tile(&given->tile, bands, sample_bytes, bytes);
    const int injects = next(in) % 4 != 1;
    int injecting[] = {[GIVEN] = 0, [MISSING] = 0, [MISALIGNED] = 0};
    for (int id = 0; id < TILE_BUFFERS; id++) {
        const size_t alignment = holds_floats(id) ? sizeof(float) : sample_bytes;
        const int how = is_injecting(id) && !injects ? MISSING : hostility(in, alignment);
        buffer *const taken = &given->buffers[id];
        *taken = take_as(in, bytes[id], alignment, how);
        point_at(&given->tile, id, passed(taken, how));
        injecting[how] += is_injecting(id);
        given->allowed = given->allowed && (how == GIVEN || is_injecting(id));
        if (id == MS_SCALE) given->allowed = fill_scales(in, taken) && given->allowed;
        else if (holds_floats(id)) fill_floats(in, taken);
        else fill_bytes(in, taken);
        /* Phases whose weights are all 0. */
        if (id != MS_SCALE && rarely(in)) memset(taken->at, 0, bytes[id]);
    }
    given->allowed = given->allowed && (injecting[GIVEN] == 2 || injecting[MISSING] == 2);
}

static void release_buffers(const tile_case *given) {
    for (int id = 0; id < TILE_BUFFERS; id++) release(&given->buffers[id]);
}

/* Whether the tile is more than there is time for, `times` times. */
static int is_too_much(const tile_case *given, const bnnpan_shape *shape, size_t needed, int64_t times) {
    const int64_t pixels = given->allowed ? (int64_t)given->tile.height * given->tile.width : 1;
    const int64_t more = given->allowed ? interpolated(&given->tile, shape->bands) : 0;
    return needed > LARGEST_ARENA || !is_little_work(shape, pixels * times, more * times);
}

void call_fuse_tile(input *in, const model_case *made) {
    tile_case given = {.model = rarely(in) ? NULL : made->model};
    given.tile = decode_tile(in);
    given.allowed = tile_is_allowed(&given.tile);
    const size_t needed = bnnpan_fuse_tile_arena_bytes(given.model, &given.tile);
    promise(!given.allowed || (needed != 0) == (given.model != NULL), "a right tile has an arena");
    if (is_too_much(&given, &made->shape, needed, 1)) return;
    take_buffers(in, &given, (size_t)made->shape.bands);
    const int how = hostility(in, sizeof(float));
    const buffer affines = take_as(in, affines_of(&made->shape) * sizeof(float), sizeof(float), how);
    fill_floats(in, &affines);
    given.affines = passed(&affines, how);
    given.passed = rarely(in) ? NULL : &given.tile;
    given.allowed = given.allowed && how == GIVEN && given.passed != NULL && given.model != NULL;
    call_twice(in, enter_fuse_tile, &given, needed, given.allowed, &given.buffers[PRODUCT]);
    release_buffers(&given);
    release(&affines);
}

/* A timing wants the whole window for its core. */
static void widen_core(bnnpan_tile *tile) {
    tile->core_row = tile->core_col = 0;
    tile->core_height = tile->height;
    tile->core_width = tile->width;
}

static int core_is_window(const bnnpan_tile *tile) {
    return tile->core_row == 0 && tile->core_col == 0 && tile->core_height == tile->height &&
           tile->core_width == tile->width;
}

void call_bench(input *in, const model_case *made) {
    static const int32_t STAGES[] = {-1, BNNPAN_BENCH_STAGES, INT32_MAX, INT32_MIN}, REPEATS[] = {0, -1, INT32_MIN};
    tile_case given = {.model = rarely(in) ? NULL : made->model};
    given.tile = decode_tile(in);
    if (!rarely(in)) widen_core(&given.tile);
    given.stage = rarely(in) ? pick(in, STAGES, 4) : next(in) % BNNPAN_BENCH_STAGES;
    given.repeats = rarely(in) ? pick(in, REPEATS, 3) : 1 + next(in) % 2;
    given.allowed = tile_is_allowed(&given.tile) && core_is_window(&given.tile);
    const size_t needed = bnnpan_bench_arena_bytes(given.model, &given.tile);
    promise(!given.allowed || (needed != 0) == (given.model != NULL), "a tile to time has an arena");
    promise(needed == 0 || core_is_window(&given.tile), "a tile with a margin is not timed");
    if (is_too_much(&given, &made->shape, needed, 6)) return;
    take_buffers(in, &given, (size_t)made->shape.bands);
    const int how = hostility(in, sizeof(double));
    const buffer seconds = take_as(in, sizeof(double), sizeof(double), how);
    given.seconds = passed(&seconds, how);
    given.passed = rarely(in) ? NULL : &given.tile;
    given.allowed = given.allowed && how == GIVEN && given.passed != NULL && given.model != NULL &&
                    given.stage >= 0 && given.stage < BNNPAN_BENCH_STAGES && given.repeats >= 1;
    call_twice(in, enter_bench, &given, needed, given.allowed, &given.buffers[PRODUCT]);
    release_buffers(&given);
    release(&seconds);
}
