/* Options of a custom operator: a FlexBuffers map (https://flatbuffers.dev/flatbuffers_internals#flexbuffers). */
#ifndef BNNPAN_LITERT_FLEXBUFFER_H
#define BNNPAN_LITERT_FLEXBUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The integer or truth value of a key; false when the key is missing, of another type, or the bytes are no map.
 * Reads nothing outside `bytes`. */
bool litert_flexbuffer_integer(const void *bytes, size_t size, const char *key, int32_t *value);

#endif
