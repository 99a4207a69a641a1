"""What a layer costs: operations per PAN pixel, and bits to store."""

from __future__ import annotations

from dataclasses import dataclass, fields

__all__ = ["Cost"]


@dataclass(frozen=True)
class Cost:
    """Operations are those of one PAN pixel; what is paid once per scene has none.

    float_macs      multiply-accumulates of convolutions in full precision
    binary_macs     multiply-accumulates of signs
    other           additions, products, comparisons and roots between them; a mean over C channels counts C
    float_bits      parameters in full precision, 32 bits each
    sign_bits       what signs of weights take in the form they are held in
    """

    float_macs: float = 0.0
    binary_macs: float = 0.0
    other: float = 0.0
    float_bits: int = 0
    sign_bits: int = 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    @property
    def size_bytes(self) -> int:
        """All parameters."""
        return (self.float_bits + self.sign_bits) // 8
