"""What makes the product of a scene: a network on one of its backends, or the classical method."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TypedDict

from bnnpan_runtime import calibrate as networks
from bnnpan_runtime.bundle import Bundle
from bnnpan_runtime.calibrate import SceneConstants
from bnnpan_runtime.classical import CLASSICAL, METHOD
from bnnpan_runtime.contract import Calibration, Manifest, Phase, Recipe
from bnnpan_runtime.errors import BackendError, BundleError, MismatchError
from bnnpan_runtime.graph import BACKENDS, open_backend
from bnnpan_runtime.graph.protocol import Backend, TileBackend
from bnnpan_runtime.memory import resident_bytes
from bnnpan_runtime.radiometry.corrected import CorrectedScene, corrected
from bnnpan_runtime.registration import SHIFT_TAG, Register, Shift, find_shift, shifted
from bnnpan_runtime.resample import Resampler
from bnnpan_runtime.scene import MsPath, Scene, SceneOptions, open_scene
from bnnpan_runtime.trust.policy import INSTALLED, UNCHECKED, Signer, Trust

__all__ = ["Method", "MethodOptions", "open_method"]

AnyPath = str | os.PathLike[str]

_log = logging.getLogger(__name__)

_LONGEST_REASON = 500
"""Letters."""


@dataclass(frozen=True)
class Method:
    """What makes the product of one open scene.

    name             "network", or what the literature calls the classical method
    calibrate        finds everything global of the scene; raises SceneError
    tags             what the product says about it
    fallback_reason  why the network is refused that this stands in for; None if it was asked for
    signer           who vouches for the network; None without one
    bundle           where the network is from; None without one
    shift            between PAN and MS, which the grid of `scene` already takes into account if it is applied
    read_bytes       what reading the scene so far has left in memory
    """

    name: str
    scene: Scene
    engine: Backend | TileBackend
    recipe: Recipe
    resampler: Resampler
    calibrate: Callable[[], SceneConstants]
    tags: Mapping[str, str]
    fallback_reason: str | None = None
    signer: Signer | None = None
    bundle: Bundle | None = None
    shift: Shift = Shift("off")  # noqa: RUF009  # frozen
    read_bytes: int = 0

    @property
    def band_roles(self) -> tuple[str | None, ...]:
        """What the bands of the product are, None where nothing says it."""
        return self.scene.roles if self.bundle is None else self.bundle.manifest.band_roles


class MethodOptions(TypedDict, total=False):
    """What `open_method` may be told, and through it `fuse` and `plan`.

    backend     "native", "onnx", "tflite", or "auto" for the first of them that works; or "classical"
    bit_depth   bits of a uint16 scene, if not those of the bundle; without effect in scene units
    fallback    let the classical method make the product if the network cannot run; the report says so
    trust       keys whose bundles may run, see `bnnpan_runtime.trust`; None: the caller vouches for it
    register    what to do about a shift between PAN and MS that their files do not tell: "auto" measures it
                and corrects it if it is sure, "off" does neither, a pair of rows and columns is corrected
    radiometry  calibration file of the camera whose raw data these are, see docs/radiometry.md
    scene_options  bands of MS by name, and the part of the scene to fuse
    """

    backend: str
    bit_depth: int | None
    fallback: bool
    trust: Trust | None
    register: Register
    radiometry: AnyPath | None
    scene_options: SceneOptions


@contextmanager
def open_method(
    pan: AnyPath,
    ms: MsPath,
    bundle: Bundle | AnyPath | None,
    *,
    backend: str = "auto",
    bit_depth: int | None = None,
    fallback: bool = False,
    trust: Trust | None = None,
    register: Register = "auto",
    radiometry: AnyPath | None = None,
    scene_options: SceneOptions = SceneOptions(),  # noqa: B008  # frozen
) -> Iterator[Method]:
    """Open a scene and what makes its product.

    That is the network of `bundle` on `backend`. If it cannot run, `fallback` lets the classical method make
    the product: the bundle cannot be used, is made for other scenes, or no backend reproduces its golden
    tile. The backend "classical" asks for that method at once.

    The classical method takes phase and patches from the bundle; without one that can be used for this scene,
    it takes MS pixels at their true centres, and any number of bands and any ratio.

    The other arguments are those of `MethodOptions`. A bundle that `trust` refuses cannot be used.

    Raises SceneError, BundleError or BackendError.
    """
    if backend not in (known := ("auto", *BACKENDS, CLASSICAL)):
        raise BackendError(f"no backend {backend!r}; there are {', '.join(known)}")
    with ExitStack() as stack:

        def open_for(manifest: Manifest | None) -> Scene:
            scene = stack.enter_context(open_scene(pan, ms, manifest, bit_depth, scene_options))
            return scene if radiometry is None else corrected(scene, radiometry)

        yield _chosen(open_for, bundle, backend, fallback, trust, register)


def _chosen(
    open_for: Callable[[Manifest | None], Scene],
    bundle: Bundle | AnyPath | None,
    backend: str,
    fallback: bool,
    trust: Trust | None,
    register: Register,
) -> Method:
    if backend == CLASSICAL:
        manifest = None if bundle is None else _opened(bundle, trust)[0].manifest
        return _classical(open_for(manifest), manifest, register)
    try:
        opened, signer = _opened(bundle, trust)
        scene = open_for(opened.manifest)
    except (BundleError, MismatchError) as error:
        reason = _accepted(error, fallback)
        return _classical(open_for(None), None, register, reason)
    try:
        engine = open_backend(backend, opened, self_test=True)
    except (BundleError, BackendError) as error:
        return _classical(scene, opened.manifest, register, _accepted(error, fallback))
    return _network(scene, opened, signer, engine, register)


def _opened(bundle: Bundle | AnyPath | None, trust: Trust | None) -> tuple[Bundle, Signer]:
    if bundle is None:
        raise BundleError("no bundle is given, and a network needs one")
    opened = bundle if isinstance(bundle, Bundle) else Bundle.open(bundle)
    if trust is None:
        return opened, INSTALLED if opened.is_installed else UNCHECKED
    return opened, trust.check(opened)


def _accepted(error: BundleError | BackendError | MismatchError, fallback: bool) -> str:
    """Why there is no network. Raises the error again, with a hint, if nothing may stand in for it."""
    if not fallback:
        raise type(error)(
            f"{error}; with --fallback the classical method makes the product instead"
        ) from error
    # What a damaged bundle says goes into logs and tags.
    text = " ".join(str(error).split())
    reason = "".join(letter if letter.isprintable() else "?" for letter in text)[:_LONGEST_REASON]
    _log.warning("the network is refused, the classical method %s makes the product: %s", METHOD, reason)
    return reason


@dataclass(frozen=True)
class _Registered:
    """A scene with MS where it was found to lie, the shift, and what the product says of what was done.

    read_bytes  what looking for the shift has left in memory
    """

    scene: Scene
    shift: Shift
    tags: dict[str, str]
    read_bytes: int


def _registered(scene: Scene, phase: Phase, register: Register) -> _Registered:
    before_bytes = resident_bytes()
    shift, tags = find_shift(scene, scene.grid, phase, register), {}
    read_bytes = max(0, resident_bytes() - before_bytes)
    if shift.is_applied:
        tags[SHIFT_TAG] = shift.tag
    if isinstance(scene, CorrectedScene) and scene.radiometry is not None:
        tags["BNNPAN_RADIOMETRY_SHA256"] = scene.radiometry.sha256
    return _Registered(replace(scene, grid=shifted(scene.grid, shift)), shift, tags, read_bytes)


def _network(scene: Scene, bundle: Bundle, signer: Signer, backend: Backend, register: Register) -> Method:
    found = _registered(scene, bundle.manifest.phase, register)
    scene = found.scene
    resampler = Resampler(scene.grid, bundle.manifest.phase)
    return Method(
        name="network",
        scene=scene,
        engine=backend,
        recipe=bundle.manifest,
        resampler=resampler,
        calibrate=partial(networks.calibrate, scene, backend, bundle.manifest, resampler),
        # The digest stands for all files of the bundle.
        tags={
            "BNNPAN_BUNDLE": bundle.manifest.id,
            "BNNPAN_MANIFEST_SHA256": bundle.sha256,
            "BNNPAN_SIGNER": str(signer),
            **found.tags,
        },
        signer=signer,
        bundle=bundle,
        shift=found.shift,
        read_bytes=found.read_bytes,
    )


def _classical(
    scene: Scene, manifest: Manifest | None, register: Register, reason: str | None = None
) -> Method:
    from bnnpan_runtime.classical.calibrate import calibrate
    from bnnpan_runtime.classical.engine import ClassicalEngine

    phase = "centred" if manifest is None else manifest.phase
    calibration = Calibration() if manifest is None else manifest.calibration
    found = _registered(scene, phase, register)
    scene = found.scene
    engine = ClassicalEngine(scene.grid, scene.bands, phase, calibration)
    refusal = {} if reason is None else {"BNNPAN_FALLBACK_REASON": reason}
    return Method(
        name=METHOD,
        scene=scene,
        engine=engine,
        recipe=engine,
        resampler=engine.resampler,
        calibrate=partial(calibrate, scene, engine),
        tags={"BNNPAN_METHOD": f"{METHOD}: a classical method, no network", **refusal, **found.tags},
        fallback_reason=reason,
        shift=found.shift,
        read_bytes=found.read_bytes,
    )
