/* Between DN and the network: PAN and MS of a tile read as image rows, HRMS rows written as DN.
 *
 * LMS is MS interpolated to the PAN grid, first along columns of MS, then along rows, so that rows of MS are read
 * once and only as many as the taps reach are kept. */
#ifndef BNNPAN_SCENE_H
#define BNNPAN_SCENE_H

#include "../bnnpan.h"
#include "../engine/arena.h"
#include "../kernels/kernels.h"

typedef struct bnnpan_scene {
    const bnnpan_kernels *kernels;
    const bnnpan_tile *tile;
    int32_t bands, ms_height, ms_width;
    int32_t loaded;   /* rows of MS read */
    size_t ms_stride; /* floats between rows of one band */
    float *ms;        /* (taps, bands, ms_stride) rows of MS in network units */
    float *tall;      /* (ms_stride) one row of one band at the height of the PAN row */
    float *phase;     /* (width / ratio, rounded up) every ratio-th pixel of a row */
    float *row;       /* (width) one row, columns in order */
    void *dn;         /* (width) one row of the product */
} bnnpan_scene;

/* Whether PAN, MS and product are given, aligned for the type of their samples. */
int bnnpan_scene_is_given(const bnnpan_tile *tile);

void bnnpan_scene_layout(bnnpan_scene *scene, bnnpan_arena *arena, const bnnpan_kernels *kernels,
                         const bnnpan_tile *tile, int32_t bands);
void bnnpan_scene_start(bnnpan_scene *scene);

/* A bnnpan_row_reader and a bnnpan_row_writer; `scene` is a bnnpan_scene. */
void bnnpan_scene_read(void *scene, int32_t y, float *rows);
void bnnpan_scene_write(void *scene, int32_t y, const float *rows);

#endif
