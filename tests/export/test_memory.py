from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bnnpan_export.memory import fit
from bnnpan_runtime.memory import MIB

measurements = st.lists(
    st.tuples(st.integers(256, 10**6), st.integers(0, 2**31)),
    min_size=2,
    max_size=6,
    unique_by=lambda m: m[0],
)


@given(measurements)
def test_model_is_never_below_a_measurement(measured: list[tuple[int, int]]) -> None:
    model = fit(measured)
    for pixels, size_bytes in measured:
        assert model.fixed_bytes + model.bytes_per_window_pixel * pixels >= size_bytes


def test_small_noise_does_not_change_the_model() -> None:
    quiet = fit([(256, 2 * MIB), (16384, 20 * MIB), (65536, 81 * MIB)])
    noisy = fit([(256, 2 * MIB + 90_000), (16384, 20 * MIB - 50_000), (65536, 81 * MIB + 70_000)])
    assert quiet == noisy
