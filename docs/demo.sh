#!/bin/sh
# The main job on a made-up scene: synthesise, plan, fuse under a memory budget, compare with the truth.
# Usage: demo.sh FOLDER; needs `bnnpan` on the PATH.
set -eu
out=${1:?usage: demo.sh FOLDER}
size=${DEMO_SIZE:-4096}
memory=${DEMO_MEMORY:-256MiB}
mkdir -p "$out"

echo "1. A $size x $size scene: PAN, MS a quarter of that, and the truth"
bnnpan scene synth --size "$size" --bands 4 --ratio 4 --out "$out/scene" --overwrite

echo "2. What fusing it within $memory will take"
bnnpan plan --pan "$out/scene/pan.tif" --ms "$out/scene/ms.tif" --memory "$memory" --threads 2

echo "3. Fuse"
bnnpan fuse --pan "$out/scene/pan.tif" --ms "$out/scene/ms.tif" --out "$out/product.tif" \
    --memory "$memory" --threads 2 --overwrite --preview "$out/product.png"

echo "4. Compare with the truth, next to plain interpolation"
bnnpan quality --pan "$out/scene/pan.tif" --ms "$out/scene/ms.tif" --fused "$out/product.tif" \
    --truth "$out/scene/truth.tif"

echo "Product: $out/product.tif   preview: $out/product.png"
