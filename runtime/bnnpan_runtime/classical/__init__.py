"""The classical method that stands in where no network can run: MTF-GLP-FS (Vivone et al., 2018).

The detail of the PAN that no MS channel would see is added to the interpolated MS, as much of it as each band
shares with the PAN. It needs no bundle, divides by no pixel and is local but for two numbers per band, which
are measured on the calibration patches and then frozen. numpy alone computes it.
"""

from __future__ import annotations

__all__ = ["CLASSICAL", "METHOD"]

CLASSICAL = "classical"
"""Its name among the backends."""

METHOD = "MTF-GLP-FS"
"""Its name in the literature."""
