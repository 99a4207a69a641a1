"""The last steps of a run, between the last tile and the product's name.

order       what is wanted beside the pixels
pyramid     the product and its overviews, block by block in one pass
halving     a block at half its resolution
statistics  minimum, maximum, mean and deviation of what was measured
tiff        directories of TIFF files, read and written
cog_frame   all of a Cloud Optimized GeoTIFF that is no pixel
tile_codec  a block of pixels, compressed as TIFF has it
cog         the compressed copy with overviews
thumbnail   a picture small enough to be sent first
finish      these in their order

Whatever is made here is made from a mosaic that the disk holds whole, so that a run that is killed meanwhile
makes it again, with the same bytes.
"""
