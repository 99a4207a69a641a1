/* Windows in network units: PAN, LMS, affines and output, or PAN, LMS and affines as output. */
#include "fuzz_case.h"

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

void call_fuse(input *in, const model_case *made) {
    const bnnpan_shape *s = &made->shape;
    window_case w = decode_window(in, made);
    const int sized = side_is_allowed(w.height) && side_is_allowed(w.width);
    const size_t pixels = sized ? (size_t)w.height * (size_t)w.width : 1, bands = (size_t)s->bands;
    const size_t needed = bnnpan_fuse_arena_bytes(w.model, w.height, w.width);
    w.allowed = sized && w.model != NULL;
    promise((needed != 0) == w.allowed, "a window has an arena exactly when its size is right");
    if (needed > LARGEST_ARENA || !is_little_work(s, (int64_t)pixels, 0)) return;
    take_arrays(in, &w, (const size_t[]){pixels, pixels * bands, affines_of(s), pixels * bands}, 4);
    call_twice(in, enter_fuse, &w, needed, w.allowed, &w.arrays[3]);
    release_arrays(&w);
}

static int32_t enter_calibrate(const void *arguments, void *arena, size_t arena_bytes) {
    const window_case *w = arguments;
    return bnnpan_calibrate(w->model, w->count, w->height, w->width, w->passed[0], w->passed[1], w->passed[2], arena,
                            arena_bytes);
}

void call_calibrate(input *in, const model_case *made) {
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
    call_twice(in, enter_calibrate, &w, needed, w.allowed, &w.arrays[2]);
    release_arrays(&w);
}
