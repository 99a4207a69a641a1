/* libbnnpan: the frozen BNNPan network in C. Public ABI, plain C types only.
 *
 * bnnpan_calibrate turns patches of one scene into affines; bnnpan_fuse_tile takes a tile from DN to DN with those
 * affines, and bnnpan_fuse does the same from LMS to HRMS in network units. None of them allocates: the caller
 * passes an arena. A model is read-only after bnnpan_model_create, so any number of threads may use it, each with an
 * arena of its own.
 *
 * Same inputs give the same bits on every instruction set, window crop, thread count and compiler: float32, one
 * order of operations per pixel, fused multiply-adds in fixed places only (kernels/kernels.h). Only of values that
 * are not a number the bits may differ between processors. The caller must leave the floating-point environment in its
 * default state (round to nearest, subnormals kept).
 */
#ifndef BNNPAN_H
#define BNNPAN_H

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define BNNPAN_API __attribute__((visibility("default")))
#else
#define BNNPAN_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Raised whenever a declaration below changes its meaning. */
#define BNNPAN_ABI_VERSION 4

enum { BNNPAN_SUB_BANDS = 4 }; /* LL, LH, HL, HH */

typedef struct bnnpan_shape {
    int32_t bands;       /* MS bands B */
    int32_t channels;    /* feature channels C */
    int32_t blocks;      /* PIBF blocks N */
    int32_t latent;      /* width L of prior and condition */
    int32_t prior_steps; /* reverse diffusion steps T */
    int32_t outer_skip;  /* 1: the block input is added once more */
    int32_t rectified;   /* 1: the encoder applies LeakyReLU before its mean */
} bnnpan_shape;

/* Arrays of a model, in the order bnnpan_model_create expects; float32 unless noted, C-contiguous. */
typedef enum bnnpan_array_id {
    BNNPAN_HEAD_WEIGHT,            /* (C, B+1, 3, 3), LMS bands first, PAN last */
    BNNPAN_HEAD_BIAS,              /* (C) */
    BNNPAN_TAIL_WEIGHT,            /* (B, C, 3, 3) */
    BNNPAN_TAIL_BIAS,              /* (B) */
    BNNPAN_TRUNK_BITS,             /* uint8 (N, 4, C, 3, 3, 4*ceil(C/32)); channel i is bit i%8 of byte i/8,
                                      1 is a negative weight, unused bits are 0 */
    BNNPAN_TRUNK_SHIFT,            /* (N, 4, C), like the seven that follow */
    BNNPAN_TRUNK_SCALE,
    BNNPAN_TRUNK_GAMMA,
    BNNPAN_TRUNK_BETA,
    BNNPAN_TRUNK_ZETA,
    BNNPAN_TRUNK_INVERSE_LAMBDA,
    BNNPAN_TRUNK_PHI,
    BNNPAN_TRUNK_ETA,
    BNNPAN_LDPC_WEIGHT,            /* (N, 2C, L) */
    BNNPAN_LDPC_BIAS,              /* (N, 2C) */
    BNNPAN_CDC_WEIGHT,             /* (N, C, 3C) */
    BNNPAN_CDC_BIAS,               /* (N, C) */
    BNNPAN_ENCODER_CONV_WEIGHT,    /* (L, B+1, 3, 3) */
    BNNPAN_ENCODER_CONV_BIAS,      /* (L) */
    BNNPAN_ENCODER_HIDDEN_WEIGHT,  /* (L, L) */
    BNNPAN_ENCODER_HIDDEN_BIAS,    /* (L) */
    BNNPAN_ENCODER_OUT_WEIGHT,     /* (L, L) */
    BNNPAN_ENCODER_OUT_BIAS,       /* (L) */
    BNNPAN_DENOISER_HIDDEN_WEIGHT, /* (L, 2L+1) */
    BNNPAN_DENOISER_HIDDEN_BIAS,   /* (L) */
    BNNPAN_DENOISER_OUT_WEIGHT,    /* (L, L) */
    BNNPAN_DENOISER_OUT_BIAS,      /* (L) */
    BNNPAN_LATENT_GAIN,            /* (T) */
    BNNPAN_ESTIMATE_GAIN,          /* (T) */
    BNNPAN_LATENT_START,           /* (L) */
    BNNPAN_ARRAY_COUNT
} bnnpan_array_id;

typedef struct bnnpan_array {
    const void *data;
    size_t bytes;
} bnnpan_array;

typedef struct bnnpan_model bnnpan_model;

typedef enum bnnpan_status {
    BNNPAN_OK = 0,
    BNNPAN_BAD_SIZE = 1,    /* height or width is not even, not positive, or too large */
    BNNPAN_SMALL_ARENA = 2, /* fewer bytes than the matching bnnpan_*_arena_bytes */
    BNNPAN_BAD_TILE = 3,    /* core, phase, taps, a scale or the sample type of a tile are out of range */
    BNNPAN_NO_ARGUMENT = 4, /* a pointer is NULL, or not aligned for its type */
} bnnpan_status;

/* Types of DN as they are stored. */
typedef enum bnnpan_sample {
    BNNPAN_UINT8,
    BNNPAN_UINT16,
    BNNPAN_INT16,
    BNNPAN_FLOAT32,
    BNNPAN_SAMPLE_COUNT
} bnnpan_sample;

/* Interpolation of MS along one axis: the PAN position q = ratio * k + phase is the sum, tap after tap, of `taps` MS
 * samples from sample k on, each times weights[phase][tap]; zero weights are skipped. */
typedef struct bnnpan_axis {
    int32_t ratio, taps;
    const float *weights; /* (ratio, taps) */
} bnnpan_axis;

/* A tile in DN, C-contiguous but for the rows of PAN. The window's first row and column are PAN positions row_phase and col_phase, below
 * the ratio, of the MS it comes with: ms_height = (row_phase + height - 1) / ratio + taps, ms_width likewise, which
 * nothing here can check. */
typedef struct bnnpan_tile {
    const void *pan; /* (height, width), rows pan_stride apart */
    const void *ms;  /* (B, ms_height, ms_width) */
    void *product;   /* (B, core_height, core_width), overlaps no input */
    bnnpan_axis rows, cols;
    int32_t sample;                                       /* bnnpan_sample of all three */
    int32_t height, width;                                /* of the window, even */
    int32_t pan_stride;                                   /* samples between rows of PAN, at least width */
    int32_t core_row, core_col, core_height, core_width;  /* the part of the window that is written */
    int32_t row_phase, col_phase;
    /* Network units: p = (PAN - pan_offset) / pan_scale is the network's PAN, and with m = (MS - ms_offset) / ms_scale
     * its LMS is the interpolated m - injected * shrunk, to which injected * p is added; without the two it is the
     * interpolated m. Its result y is the product y * ms_scale + ms_offset. */
    float pan_offset, pan_scale;
    const float *ms_offset, *ms_scale;                    /* (B); scales are finite and above 0 */
    const float *injected;                                /* (B); NULL like the next where nothing is injected */
    const float *shrunk;                                  /* (ms_height, ms_width), p as an MS channel sees it */
    int32_t has_pan_nodata, has_ms_nodata;                /* 1: DN equal to the next are 0 as p or m */
    float pan_nodata, ms_nodata;
} bnnpan_tile;

BNNPAN_API int32_t bnnpan_abi_version(void);

/* Name of the index-th instruction set this processor can run, best first; NULL past the last, "portable". */
BNNPAN_API const char *bnnpan_isa_name(int32_t index);

/* Copies and prepares the arrays. `isa` is a name from bnnpan_isa_name, or NULL for the best one.
 * NULL when a size of the shape is out of range, an array has the wrong number of bytes, the instruction set
 * is not available here, or memory is short. */
BNNPAN_API bnnpan_model *bnnpan_model_create(const bnnpan_shape *shape, const bnnpan_array *arrays, const char *isa);
BNNPAN_API void bnnpan_model_free(bnnpan_model *model);
/* Size of the memory that starts at `model` and holds everything of it. Nothing in there changes until it is freed: a
 * caller can checksum it, to find what radiation has flipped. */
BNNPAN_API size_t bnnpan_model_bytes(const bnnpan_model *model);
/* NULL for NULL. */
BNNPAN_API const char *bnnpan_model_isa(const bnnpan_model *model);

/* Scratch for one window in PAN pixels; 0 when the size is not valid. Grows with the width only. */
BNNPAN_API size_t bnnpan_fuse_arena_bytes(const bnnpan_model *model, int32_t height, int32_t width);

/* pan (height, width), lms and out (B, height, width), affines (N, 2, C) = gain, offset; network units.
 * `out` overlaps no input. */
BNNPAN_API int32_t bnnpan_fuse(const bnnpan_model *model, int32_t height, int32_t width, const float *pan,
                               const float *lms, const float *affines, float *out, void *arena, size_t arena_bytes);

/* Scratch for one tile: of it only the shape, the phases and the axes' ratio and taps are read. 0 when not valid.
 * Grows with the width only. */
BNNPAN_API size_t bnnpan_fuse_tile_arena_bytes(const bnnpan_model *model, const bnnpan_tile *tile);

/* Scales, injects, interpolates, fuses, and rounds to the nearest DN (half to even) within the range of its type; float32
 * products are neither rounded nor clipped. affines (N, 2, C). */
BNNPAN_API int32_t bnnpan_fuse_tile(const bnnpan_model *model, const bnnpan_tile *tile, const float *affines,
                                    void *arena, size_t arena_bytes);

BNNPAN_API size_t bnnpan_calibrate_arena_bytes(const bnnpan_model *model, int32_t height, int32_t width);

/* pan (count, height, width), lms (count, B, height, width): patches of one scene; affines (N, 2, C) out. */
BNNPAN_API int32_t bnnpan_calibrate(const bnnpan_model *model, int32_t count, int32_t height, int32_t width,
                                    const float *pan, const float *lms, float *affines, void *arena,
                                    size_t arena_bytes);

#ifdef __cplusplus
}
#endif
#endif
