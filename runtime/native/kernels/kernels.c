#include "kernels.h"

#define BNNPAN_TEXT2(name) #name
#define BNNPAN_TEXT(name) BNNPAN_TEXT2(name)

const bnnpan_kernels BNNPAN_KERNEL(bnnpan_kernels) = {
    .name = BNNPAN_TEXT(BNNPAN_ISA),
    .pack_row = BNNPAN_KERNEL(pack_row),
    .sums_row = BNNPAN_KERNEL(sums_row),
    .nbc_row = BNNPAN_KERNEL(nbc_row),
    .head_rows = BNNPAN_KERNEL(head_rows),
    .convolve_rows = BNNPAN_KERNEL(convolve_rows),
    .inverse_haar_rows = BNNPAN_KERNEL(inverse_haar_rows),
    .weigh_rows = BNNPAN_KERNEL(weigh_rows),
    .normalise_row = BNNPAN_KERNEL(normalise_row),
    .add_share = BNNPAN_KERNEL(add_share),
    .split_row = BNNPAN_KERNEL(split_row),
    .join_row = BNNPAN_KERNEL(join_row),
    .quantise_row = BNNPAN_KERNEL(quantise_row),
};
