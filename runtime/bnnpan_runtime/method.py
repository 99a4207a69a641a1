"""What makes the product of a scene: a network on one of its backends, or the classical method."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial

from bnnpan_runtime import calibrate as networks
from bnnpan_runtime.bundle import Bundle
from bnnpan_runtime.calibrate import SceneConstants
from bnnpan_runtime.classical import CLASSICAL, METHOD
from bnnpan_runtime.contract import Calibration, Manifest, Recipe
from bnnpan_runtime.errors import BackendError, BundleError, MismatchError
from bnnpan_runtime.graph import BACKENDS, open_backend
from bnnpan_runtime.graph.protocol import Backend, TileBackend
from bnnpan_runtime.resample import Resampler
from bnnpan_runtime.scene import Scene, open_scene

__all__ = ["Method", "open_method"]

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
    """

    name: str
    scene: Scene
    engine: Backend | TileBackend
    recipe: Recipe
    resampler: Resampler
    calibrate: Callable[[], SceneConstants]
    tags: Mapping[str, str]
    fallback_reason: str | None = None


@contextmanager
def open_method(
    pan: AnyPath,
    ms: AnyPath,
    bundle: Bundle | AnyPath | None,
    backend: str,
    bit_depth: int | None = None,
    *,
    fallback: bool = False,
) -> Iterator[Method]:
    """Open a scene and what makes its product.

    That is the network of `bundle` on `backend`. If it cannot run, `fallback` lets the classical method make
    the product: the bundle cannot be used, is made for other scenes, or no backend reproduces its golden
    tile. The backend "classical" asks for that method at once.

    The classical method takes phase and patches from the bundle; without one that can be used for this scene,
    it takes MS pixels at their true centres, and any number of bands and any ratio.

    Raises SceneError, BundleError or BackendError.
    """
    if backend not in (known := ("auto", *BACKENDS, CLASSICAL)):
        raise BackendError(f"no backend {backend!r}; there are {', '.join(known)}")
    with ExitStack() as stack:

        def open_for(manifest: Manifest | None) -> Scene:
            return stack.enter_context(open_scene(pan, ms, manifest, bit_depth))

        yield _chosen(open_for, bundle, backend, fallback)


def _chosen(
    open_for: Callable[[Manifest | None], Scene],
    bundle: Bundle | AnyPath | None,
    backend: str,
    fallback: bool,
) -> Method:
    if backend == CLASSICAL:
        manifest = None if bundle is None else _opened(bundle).manifest
        return _classical(open_for(manifest), manifest)
    try:
        opened = _opened(bundle)
        scene = open_for(opened.manifest)
    except (BundleError, MismatchError) as error:
        reason = _accepted(error, fallback)
        return _classical(open_for(None), None, reason)
    try:
        return _network(scene, opened, open_backend(backend, opened, self_test=True))
    except (BundleError, BackendError) as error:
        return _classical(scene, opened.manifest, _accepted(error, fallback))


def _opened(bundle: Bundle | AnyPath | None) -> Bundle:
    if bundle is None:
        raise BundleError("no bundle is given, and a network needs one")
    return bundle if isinstance(bundle, Bundle) else Bundle.open(bundle)


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


def _network(scene: Scene, bundle: Bundle, backend: Backend) -> Method:
    resampler = Resampler(scene.grid, bundle.manifest.phase)
    return Method(
        name="network",
        scene=scene,
        engine=backend,
        recipe=bundle.manifest,
        resampler=resampler,
        calibrate=partial(networks.calibrate, scene, backend, bundle.manifest, resampler),
        # The digest stands for all files of the bundle.
        tags={"BNNPAN_BUNDLE": bundle.manifest.id, "BNNPAN_MANIFEST_SHA256": bundle.sha256},
    )


def _classical(scene: Scene, manifest: Manifest | None, reason: str | None = None) -> Method:
    from bnnpan_runtime.classical.calibrate import calibrate
    from bnnpan_runtime.classical.engine import ClassicalEngine

    phase = "centred" if manifest is None else manifest.phase
    calibration = Calibration() if manifest is None else manifest.calibration
    engine = ClassicalEngine(scene.grid, scene.bands, phase, calibration)
    refusal = {} if reason is None else {"BNNPAN_FALLBACK_REASON": reason}
    return Method(
        name=METHOD,
        scene=scene,
        engine=engine,
        recipe=engine,
        resampler=engine.resampler,
        calibrate=partial(calibrate, scene, engine),
        tags={"BNNPAN_METHOD": f"{METHOD}: a classical method, no network", **refusal},
        fallback_reason=reason,
    )
