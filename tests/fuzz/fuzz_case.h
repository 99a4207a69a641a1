/* What the parts of the fuzz target share: a model to call, and one call with an arena. */
#ifndef BNNPAN_FUZZ_CASE_H
#define BNNPAN_FUZZ_CASE_H

#include "bnnpan.h"
#include "fuzz_input.h"

enum { LARGEST_ARENA = 64 << 20, LARGEST_WORK = 1000000 };

typedef struct model_case {
    bnnpan_shape shape;
    buffer arrays[BNNPAN_ARRAY_COUNT];
    bnnpan_model *model;
} model_case;

typedef int32_t entry_point(const void *arguments, void *arena, size_t arena_bytes);

/* Calls with an exact arena, or one that is too short or missing; twice, the arena holding something else. */
void call_twice(input *in, entry_point *entry, const void *arguments, size_t needed, int allowed, const buffer *out);

void call_fuse(input *in, const model_case *made);
void call_calibrate(input *in, const model_case *made);
void call_fuse_tile(input *in, const model_case *made);
void call_bench(input *in, const model_case *made);

static inline int in_range(int32_t value, int32_t largest) { return value >= 1 && value <= largest; }

static inline size_t affines_of(const bnnpan_shape *shape) { return (size_t)(shape->blocks * 2 * shape->channels); }

/* Below `limit`, rarely not. */
static inline int32_t place(input *in, int32_t limit) {
    const int32_t extremes[] = {-1, limit, INT32_MAX, INT32_MIN};
    if (rarely(in) || limit < 1) return pick(in, extremes, sizeof extremes / sizeof extremes[0]);
    return next(in) % limit;
}

static inline int32_t side(input *in) {
    static const int32_t WILD[] = {0, -2, 1, 3, 32768, 32770, 65536, INT32_MAX, INT32_MAX - 1, INT32_MIN};
    return rarely(in) ? pick(in, WILD, sizeof WILD / sizeof WILD[0]) : 2 * (1 + next(in) % 10);
}

static inline int side_is_allowed(int32_t length) { return length >= 2 && length <= 32768 && length % 2 == 0; }

/* Multiply-adds of `pixels`, roughly, and `more`. */
static inline int is_little_work(const bnnpan_shape *shape, int64_t pixels, int64_t more) {
    const int64_t convolved = (int64_t)shape->channels * (shape->bands + 1) * 18;
    const int64_t trunk = (int64_t)shape->blocks * shape->channels * (shape->channels / 3 + 20);
    return pixels * (convolved + trunk) + more <= LARGEST_WORK;
}

#endif
