"""What catalogues read: bundles and products as items of the SpatioTemporal Asset Catalog (STAC 1.1).

model      a bundle, in the words of the Machine Learning Model extension
product    a product, and where it comes from
footprint  where a product lies on the globe
beside     a product's item as a file
"""
