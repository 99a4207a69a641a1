#include "kernels.h"

const bnnpan_kernels BNNPAN_KERNEL(bnnpan_kernels) = {
#define BNNPAN_TEXT2(name) #name
#define BNNPAN_TEXT(name) BNNPAN_TEXT2(name)
    .name = BNNPAN_TEXT(BNNPAN_ISA),
    .conv3x3_row = BNNPAN_KERNEL(conv3x3_row),
    .haar_rows = BNNPAN_KERNEL(haar_rows),
    .inverse_haar_rows = BNNPAN_KERNEL(inverse_haar_rows),
    .pack_row = BNNPAN_KERNEL(pack_row),
    .nbc_row = BNNPAN_KERNEL(nbc_row),
};
