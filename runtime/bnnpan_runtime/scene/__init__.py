"""A raw scene: PAN and MS as cameras and ground pipelines deliver them, made one pair of DN arrays.

raster       bands of one or several files, read as one image
nodata       which of their pixels were not measured, by one marker
bands        which band is which
ground       where it lies: coordinate system, geotransform, GCPs, RPCs
projections  whether what PROJ says of coordinate systems can be believed
form         what the product inherits
pair         the open scene
placing      how PAN lies on MS, and the part that both show and that is wanted
depth        how many bits the DN use
opening      open and check it all
"""

from bnnpan_runtime.scene.form import ProductFormat, describe
from bnnpan_runtime.scene.opening import open_pair, open_scene
from bnnpan_runtime.scene.pair import Scene, SceneOptions
from bnnpan_runtime.scene.projections import intact_projections
from bnnpan_runtime.scene.raster import AnyPath, MsPath, Raster, ms_paths, open_raster

__all__ = [
    "AnyPath",
    "MsPath",
    "ProductFormat",
    "Raster",
    "Scene",
    "SceneOptions",
    "describe",
    "intact_projections",
    "ms_paths",
    "open_pair",
    "open_raster",
    "open_scene",
]
