/* Hands out parts of a caller's buffer. With `base` NULL it only adds up, so that the same code that lays out a
 * stage's buffers also tells how many bytes they need. */
#ifndef BNNPAN_ARENA_H
#define BNNPAN_ARENA_H

#include <stddef.h>
#include <stdint.h>

/* One cache line, and the widest vector. */
enum { BNNPAN_ALIGNMENT = 64 };

typedef struct bnnpan_arena {
    char *base;
    size_t used;
} bnnpan_arena;

static inline bnnpan_arena bnnpan_arena_open(void *buffer) {
    const size_t past = (size_t)((uintptr_t)buffer % BNNPAN_ALIGNMENT);
    bnnpan_arena arena = {NULL, 0};
    if (buffer != NULL) arena.base = (char *)buffer + (past ? BNNPAN_ALIGNMENT - past : 0);
    return arena;
}

static inline void *bnnpan_arena_take(bnnpan_arena *arena, size_t count, size_t size) {
    void *part = arena->base ? arena->base + arena->used : NULL;
    arena->used += (count * size + BNNPAN_ALIGNMENT - 1) / BNNPAN_ALIGNMENT * BNNPAN_ALIGNMENT;
    return part;
}

/* Bytes a caller must provide for what was taken, at any alignment of its buffer. */
static inline size_t bnnpan_arena_bytes(const bnnpan_arena *arena) { return arena->used + BNNPAN_ALIGNMENT; }

/* Whether a pointer to float may be read through. */
static inline int bnnpan_is_aligned(const void *pointer) {
    return pointer != NULL && (uintptr_t)pointer % sizeof(float) == 0;
}

#endif
