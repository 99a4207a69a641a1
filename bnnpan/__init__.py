"""Ground side of bnnpan: the network, its data, its training and the evidence that it works."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("bnnpan")
except PackageNotFoundError:  # running from a source tree that was not installed
    __version__ = "0+source"
