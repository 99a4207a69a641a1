"""The product on disk, from its first block to the file that readers get.

beginning   a new product, or what an earlier run left of one
block_file  blocks of pixels at fixed places in one raw file
sheets      the files that grow together: pixels, and the mask if there is one
mask        what each pixel is from
journal     which blocks are on disk for good, and their digests
recovery    which of them a later run may trust
identity    what makes two runs work on the same product
mosaic      tiles in, blocks out, checkpoints between
layout      the finished blocks as a GeoTIFF
tags        what the finished file says about itself
"""
