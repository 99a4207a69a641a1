"""How good a product is, asked of it while it is made, in constant memory and without any truth.

moments  blocks of 32 x 32 pixels as means and covariances, from which all indices follow
q2n      Q of all bands at once, as hypercomplex numbers
hqnr     D_lambda, D_s and HQNR of an area, as sums that can be added up in any order
gate     blocks of a product that are judged as they are completed, and made again where they fail
"""
