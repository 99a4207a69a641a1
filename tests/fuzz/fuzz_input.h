/* What the fuzz target decodes its input with, and the buffers it hands on. */
#ifndef BNNPAN_FUZZ_INPUT_H
#define BNNPAN_FUZZ_INPUT_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FILL = 0xa5 };

static inline void promise(int holds, const char *what) {
    if (holds) return;
    fprintf(stderr, "broken promise: %s\n", what);
    abort();
}

/* Bytes of the input, then zeros, which stand for what is usual. */

typedef struct input {
    const uint8_t *at;
    size_t left;
    uint32_t noise;
} input;

static inline uint8_t next(input *in) {
    if (in->left == 0) return 0;
    in->left--;
    return *in->at++;
}

static inline int rarely(input *in) { return next(in) % 16 == 15; }

static inline int32_t pick(input *in, const int32_t *values, size_t count) { return values[next(in) % count]; }

/* 1 .. usual, rarely one of the extremes. */
static inline int32_t size(input *in, int32_t usual, int32_t largest) {
    const int32_t extremes[] = {0, -1, largest, largest + 1, INT32_MAX, INT32_MIN, -largest};
    if (rarely(in)) return pick(in, extremes, sizeof extremes / sizeof extremes[0]);
    return 1 + next(in) % usual;
}

static inline uint32_t noise_word(input *in) {
    in->noise = in->noise * 1664525u + 1013904223u;
    return in->noise >> 8;
}

/* Buffers: a check of the bytes before them stands in for what sanitizers do behind. */

typedef struct buffer {
    unsigned char *block, *at;
    size_t before, bytes;
} buffer;

static inline buffer take(size_t bytes, size_t before) {
    unsigned char *block = malloc(before + bytes + (before + bytes == 0));
    if (block == NULL) abort();
    memset(block, FILL, before + bytes);
    return (buffer){block, block + before, before, bytes};
}

static inline int is_untouched(const unsigned char *bytes, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (bytes[i] != FILL) return 0;
    return 1;
}

static inline void release(const buffer *memory) {
    promise(is_untouched(memory->block, memory->before), "nothing is written before a buffer");
    free(memory->block);
}

/* How a caller passes a buffer on. */
enum { GIVEN, MISSING, MISALIGNED };

static inline int hostility(input *in, size_t alignment) {
    if (!rarely(in)) return GIVEN;
    return next(in) % 2 && alignment > 1 ? MISALIGNED : MISSING;
}

/* At some offset that suits the alignment, or at one that does not. */
static inline buffer take_as(input *in, size_t bytes, size_t alignment, int how) {
    const size_t before = alignment * (next(in) % 8u);
    return take(bytes, how == MISALIGNED ? before + 1 + next(in) % (alignment - 1) : before);
}

static inline void *passed(const buffer *memory, int how) { return how == MISSING ? NULL : memory->at; }

/* Usually plain numbers, else whatever the bits say: infinities, NaN, subnormals. */
static inline void fill_floats(input *in, const buffer *memory) {
    const int wild = rarely(in);
    in->noise ^= next(in);
    for (size_t i = 0; i < memory->bytes / sizeof(float); i++) {
        const uint32_t word = noise_word(in);
        float value = (float)word / 8388608.0f - 1.0f;
        if (wild && word % 4 == 0) {
            const uint32_t bits = word << 8 ^ noise_word(in);
            memcpy(&value, &bits, sizeof value);
        }
        memcpy(memory->at + i * sizeof value, &value, sizeof value);
    }
}

static inline void fill_bytes(input *in, const buffer *memory) {
    in->noise ^= next(in);
    for (size_t i = 0; i < memory->bytes; i++) memory->at[i] = (unsigned char)(noise_word(in) >> 8);
}

#endif
