#include "flexbuffer.h"

#include <string.h>

enum { TYPE_INT = 1, TYPE_UINT = 2, TYPE_MAP = 9, TYPE_BOOL = 26 };

typedef struct span {
    const uint8_t *bytes;
    size_t size;
} span;

typedef struct map {
    span all;
    size_t values;               /* where the first value is */
    size_t keys;                 /* where the first key's offset is */
    size_t width, key_width;     /* bytes of a value and of an offset */
    size_t count;
} map;

/* A type byte holds the type and the logarithm of the width. */
static size_t width_of(uint8_t type) { return (size_t)1 << (type & 3); }

/* Numbers lie little end first. */
static bool read_number(const span *all, size_t at, size_t width, uint64_t *value) {
    if (width > all->size || at > all->size - width || width > sizeof *value) return false;
    *value = 0;
    for (size_t i = width; i-- > 0;) *value = *value << 8 | all->bytes[at + i];
    return true;
}

/* An offset points backwards from where it lies. */
static bool follow(const span *all, size_t at, size_t width, size_t *target) {
    uint64_t offset;
    if (!read_number(all, at, width, &offset) || offset > at) return false;
    *target = at - (size_t)offset;
    return true;
}

/* In front of a map's values: where its keys are, the width of their offsets, how many there are. */
static bool open_map(const span *all, map *out) {
    if (all->size < 3) return false;
    const uint8_t root_width = all->bytes[all->size - 1], type = all->bytes[all->size - 2];
    if (type >> 2 != TYPE_MAP || root_width > all->size - 2) return false;
    uint64_t key_width, count;
    out->all = *all;
    out->width = width_of(type);
    if (!follow(all, all->size - 2 - root_width, root_width, &out->values)) return false;
    if (out->values < 3 * out->width) return false;
    if (!follow(all, out->values - 3 * out->width, out->width, &out->keys)) return false;
    if (!read_number(all, out->values - 2 * out->width, out->width, &key_width)) return false;
    if (!read_number(all, out->values - out->width, out->width, &count)) return false;
    if (key_width > sizeof(uint64_t) || count > all->size) return false;
    out->key_width = (size_t)key_width;
    out->count = (size_t)count;
    return true;
}

static bool key_is(const map *in, size_t index, const char *key) {
    const size_t length = strlen(key) + 1;
    size_t at;
    return follow(&in->all, in->keys + index * in->key_width, in->key_width, &at) && length <= in->all.size &&
           at <= in->all.size - length && memcmp(in->all.bytes + at, key, length) == 0;
}

static bool read_integer(const map *in, size_t index, int32_t *value) {
    uint64_t type, number;
    if (!read_number(&in->all, in->values + in->count * in->width + index, 1, &type)) return false;
    if (!read_number(&in->all, in->values + index * in->width, in->width, &number)) return false;
    type >>= 2;
    if (type != TYPE_INT && type != TYPE_UINT && type != TYPE_BOOL) return false;
    const uint64_t sign = UINT64_C(1) << (8 * in->width - 1);
    if (type != TYPE_INT && number > INT32_MAX) return false;
    const int64_t extended = (int64_t)(type == TYPE_INT ? (number ^ sign) - sign : number);
    if (extended < INT32_MIN || extended > INT32_MAX) return false;
    *value = (int32_t)extended;
    return true;
}

bool litert_flexbuffer_integer(const void *bytes, size_t size, const char *key, int32_t *value) {
    const span all = {bytes, size};
    map in;
    if (bytes == NULL || !open_map(&all, &in)) return false;
    for (size_t i = 0; i < in.count; i++)
        if (key_is(&in, i, key)) return read_integer(&in, i, value);
    return false;
}
