#include "scene.h"

#include <string.h>

static size_t sample_bytes(int32_t sample) {
    static const size_t BYTES[BNNPAN_SAMPLE_COUNT] = {1, 2, 2, 4};
    return BYTES[sample];
}

/* Height or width of MS that a tile must come with. */
static int32_t ms_length(const bnnpan_axis *axis, int32_t phase, int32_t count) {
    return (phase + count - 1) / axis->ratio + axis->taps;
}

int bnnpan_scene_is_given(const bnnpan_tile *tile) {
    const void *const rasters[] = {tile->pan, tile->ms, tile->product};
    for (int i = 0; i < 3; i++)
        if (rasters[i] == NULL || (uintptr_t)rasters[i] % sample_bytes(tile->sample) != 0) return 0;
    return 1;
}

void bnnpan_scene_layout(bnnpan_scene *scene, bnnpan_arena *arena, const bnnpan_kernels *kernels,
                         const bnnpan_tile *tile, int32_t bands) {
    const size_t width = (size_t)bnnpan_row_length(tile->width);
    scene->kernels = kernels;
    scene->tile = tile;
    scene->bands = bands;
    scene->ms_height = ms_length(&tile->rows, tile->row_phase, tile->height);
    scene->ms_width = ms_length(&tile->cols, tile->col_phase, tile->width);
    /* Runs of a phase begin anywhere and are computed in whole vectors. */
    scene->ms_stride = (size_t)bnnpan_row_length(scene->ms_width) + BNNPAN_ROW_ALIGNMENT;
    const size_t rows = (size_t)tile->rows.taps * (size_t)bands;
    scene->ms = bnnpan_arena_take(arena, rows * scene->ms_stride, sizeof(float));
    scene->tall = bnnpan_arena_take(arena, scene->ms_stride, sizeof(float));
    const int32_t longest = (tile->width + tile->cols.ratio - 1) / tile->cols.ratio;
    scene->phase = bnnpan_arena_take(arena, (size_t)bnnpan_row_length(longest), sizeof(float));
    scene->row = bnnpan_arena_take(arena, width, sizeof(float));
    scene->dn = bnnpan_arena_take(arena, width, sizeof(float));
}

void bnnpan_scene_start(bnnpan_scene *scene) {
    const size_t rows = (size_t)scene->tile->rows.taps * (size_t)scene->bands;
    scene->loaded = 0;
    memset(scene->ms, 0, rows * scene->ms_stride * sizeof(float));
    memset(scene->tall, 0, scene->ms_stride * sizeof(float));
}

static void normalise(const bnnpan_scene *scene, const void *raster, size_t first, bnnpan_scaling scaling,
                      const float *nodata, float *out, int32_t n) {
    const int32_t sample = scene->tile->sample;
    scene->kernels->normalise_row(sample, (const char *)raster + first * sample_bytes(sample), scaling, nodata, out, n);
}

static bnnpan_scaling ms_scaling(const bnnpan_tile *tile, int32_t band) {
    return (bnnpan_scaling){tile->ms_offset[band], tile->ms_scale[band]};
}

/* Row `row` of MS, all bands, in its slot of the ring. */
static float *ms_row(const bnnpan_scene *scene, int32_t row) {
    return scene->ms + (size_t)(row % scene->tile->rows.taps) * (size_t)scene->bands * scene->ms_stride;
}

/* Row `row` of MS, all bands, less what will be injected with the PAN. */
static void load_ms_row(const bnnpan_scene *scene, int32_t row) {
    const bnnpan_tile *tile = scene->tile;
    const size_t height = (size_t)scene->ms_height, width = (size_t)scene->ms_width;
    for (int32_t band = 0; band < scene->bands; band++) {
        float *ms = ms_row(scene, row) + (size_t)band * scene->ms_stride;
        normalise(scene, tile->ms, ((size_t)band * height + (size_t)row) * width, ms_scaling(tile, band),
                  tile->has_ms_nodata ? &tile->ms_nodata : NULL, ms, scene->ms_width);
        if (tile->shrunk != NULL)
            scene->kernels->add_share(ms, tile->shrunk + (size_t)row * width, -tile->injected[band], scene->ms_width);
    }
}

static void load_ms(bnnpan_scene *scene, int32_t last) {
    for (; scene->loaded <= last && scene->loaded < scene->ms_height; scene->loaded++)
        load_ms_row(scene, scene->loaded);
}

/* PAN row y, split. */
static void load_pan(const bnnpan_scene *scene, int32_t y, float *pan) {
    const bnnpan_tile *tile = scene->tile;
    const bnnpan_scaling scaling = {tile->pan_offset, tile->pan_scale};
    const int32_t n = tile->width / 2;
    normalise(scene, tile->pan, (size_t)y * (size_t)tile->pan_stride, scaling,
              tile->has_pan_nodata ? &tile->pan_nodata : NULL, scene->row, tile->width);
    scene->kernels->split_row(scene->row, bnnpan_even(pan), bnnpan_odd(pan, n), n);
}

/* Takes the k-th tap of a phase with its row, unless its weight is 0. */
static void add_tap(bnnpan_taps *taps, const bnnpan_axis *axis, int32_t phase, int32_t k, const float *row) {
    const float weight = axis->weights[(size_t)phase * (size_t)axis->taps + (size_t)k];
    if (weight == 0.0f) return;
    taps->row[taps->count] = row;
    taps->weight[taps->count++] = weight;
}

/* The weighted sum of the taps taken; of none, 0. */
static void weigh(const bnnpan_scene *scene, float *out, const bnnpan_taps *taps, int32_t n) {
    if (taps->count == 0)
        memset(out, 0, (size_t)n * sizeof(float));
    else
        scene->kernels->weigh_rows(out, taps, n);
}

/* One band at the height of PAN row y, over the width of MS, into `tall`. */
static void interpolate_column(const bnnpan_scene *scene, int32_t band, int32_t y) {
    const bnnpan_axis *axis = &scene->tile->rows;
    const int32_t position = scene->tile->row_phase + y, first = position / axis->ratio;
    bnnpan_taps taps = {.count = 0};
    for (int32_t k = 0; k < axis->taps; k++)
        add_tap(&taps, axis, position % axis->ratio, k, ms_row(scene, first + k) + (size_t)band * scene->ms_stride);
    weigh(scene, scene->tall, &taps, scene->ms_width);
}

/* Every ratio-th pixel of a row from pixel `place` on, into a split row. */
static void interpolate_phase(const bnnpan_scene *scene, int32_t place, float *even, float *odd) {
    const bnnpan_tile *tile = scene->tile;
    const bnnpan_axis *axis = &tile->cols;
    const int32_t position = tile->col_phase + place, first = position / axis->ratio;
    const int32_t count = (tile->width - place + axis->ratio - 1) / axis->ratio;
    bnnpan_taps taps = {.count = 0};
    for (int32_t k = 0; k < axis->taps; k++)
        add_tap(&taps, axis, position % axis->ratio, k, scene->tall + first + k);
    weigh(scene, scene->phase, &taps, count);
    if (axis->ratio % 2 == 0) { /* all of them in even columns, or all in odd ones */
        float *half = (place % 2 ? odd : even) + place / 2;
        for (int32_t i = 0; i < count; i++) half[i * (axis->ratio / 2)] = scene->phase[i];
        return;
    }
    for (int32_t i = 0; i < count; i++) {
        const int32_t x = place + i * axis->ratio;
        (x % 2 ? odd : even)[x / 2] = scene->phase[i];
    }
}

void bnnpan_scene_read(void *context, int32_t y, float *rows) {
    bnnpan_scene *scene = context;
    const bnnpan_tile *tile = scene->tile;
    const int32_t n = tile->width / 2;
    const size_t split = (size_t)bnnpan_split_floats(n);
    float *pan = rows + (size_t)scene->bands * split;
    load_pan(scene, y, pan);
    load_ms(scene, (tile->row_phase + y) / tile->rows.ratio + tile->rows.taps - 1);
    for (int32_t band = 0; band < scene->bands; band++) {
        float *lms = rows + (size_t)band * split;
        interpolate_column(scene, band, y);
        for (int32_t place = 0; place < tile->cols.ratio && place < tile->width; place++)
            interpolate_phase(scene, place, bnnpan_even(lms), bnnpan_odd(lms, n));
        /* The zeros around the columns stay zeros. */
        if (tile->shrunk != NULL) scene->kernels->add_share(lms, pan, tile->injected[band], (int32_t)split);
    }
}

void bnnpan_scene_write(void *context, int32_t y, const float *rows) {
    const bnnpan_scene *scene = context;
    const bnnpan_tile *tile = scene->tile;
    const int32_t n = tile->width / 2, core_y = y - tile->core_row;
    const size_t split = (size_t)bnnpan_split_floats(n), bytes = sample_bytes(tile->sample);
    const size_t width = (size_t)tile->core_width, height = (size_t)tile->core_height;
    for (int32_t band = 0; band < scene->bands; band++) {
        const float *row = rows + (size_t)band * split;
        scene->kernels->join_row(bnnpan_read_even(row), bnnpan_read_odd(row, n), scene->row, n);
        scene->kernels->quantise_row(tile->sample, scene->row + tile->core_col, ms_scaling(tile, band), scene->dn,
                                     tile->core_width);
        const size_t first = ((size_t)band * height + (size_t)core_y) * width;
        memcpy((char *)tile->product + first * bytes, scene->dn, width * bytes);
    }
}
