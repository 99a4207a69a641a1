"""Is a bundle whole, and does it compute here what it should: every check with its outcome."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bnnpan_runtime.bundle import Bundle
from bnnpan_runtime.container import read_directory
from bnnpan_runtime.errors import BackendError, BundleError
from bnnpan_runtime.golden import run_golden
from bnnpan_runtime.graph import BACKENDS, Backend, open_backend
from bnnpan_runtime.trust.policy import UNSIGNED, Trust

__all__ = ["Check", "golden_check", "verify"]


@dataclass(frozen=True)
class Check:
    """One check; `passed` is None if it could not be run here."""

    name: str
    passed: bool | None
    detail: str

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value."""
        return asdict(self)


def verify(path_or_name: str | Path, backend: str = "all", trust: Trust | None = None) -> list[Check]:
    """Check a bundle from the outside in; what depends on a failed check is not run.

    backend  one backend, which then has to work, or "all" for those that are installed, at least one
    trust    keys whose bundles may run here; None: signatures are not checked

    Raises BundleError if there is nothing to check.
    """
    try:
        bundle = Bundle.open(path_or_name)
    except BundleError as error:
        if not Path(path_or_name).exists():
            raise
        return [_container_check(path_or_name), Check("manifest", False, str(error))]
    checks = [
        Check("container", True, f"{len(bundle.entries)} entries"),
        Check(
            "manifest",
            True,
            f"{bundle.manifest.id}, schema {bundle.manifest.schema}, {bundle.sha256[:16]}...",
        ),
        *_trust_checks(bundle, trust),
        *_file_checks(bundle),
    ]
    if not any(check.passed is False for check in checks):
        checks.extend(_backend_checks(bundle, backend))
    return checks


def golden_check(engine: Backend, bundle: Bundle) -> Check:
    """Whether a backend computes what the reference does on the golden tile."""
    outcome = run_golden(engine, bundle)
    return Check(f"golden tile: {engine.name}", outcome.passed, outcome.detail)


def _container_check(path_or_name: str | Path) -> Check:
    """Whether the container alone is sound, when the bundle as a whole is not."""
    try:
        return Check("container", True, f"{len(read_directory(Path(path_or_name)))} entries")
    except BundleError as error:
        return Check("container", False, str(error))


def _trust_checks(bundle: Bundle, trust: Trust | None) -> Iterator[Check]:
    if trust is None:
        return
    try:
        signer = trust.check(bundle)
    except BundleError as error:
        yield Check("signature", False, str(error))
    else:
        yield Check("signature", None if signer == UNSIGNED else True, str(signer))


def _file_checks(bundle: Bundle) -> Iterator[Check]:
    for name, file in sorted(bundle.manifest.files.items()):
        try:
            bundle.read(name)
            yield Check(f"SHA-256: {name}", True, file.sha256)
        except BundleError as error:
            yield Check(f"SHA-256: {name}", False, str(error))
    for name, parse in (("weights", bundle.weights), ("golden tile", lambda: vars(bundle.golden()))):
        try:
            yield Check(f"tensors: {name}", True, f"{len(parse())} tensors of the right dtype and shape")
        except BundleError as error:
            yield Check(f"tensors: {name}", False, str(error))


def _backend_checks(bundle: Bundle, backend: str) -> Iterator[Check]:
    ran = False
    for name in BACKENDS if backend == "all" else (backend,):
        try:
            engine = open_backend(name, bundle)
        except (BackendError, BundleError) as error:
            check = Check(f"golden tile: {name}", None if backend == "all" else False, str(error))
        else:
            check = _tried(engine, bundle)
        ran = ran or check.passed is not None
        yield check
    if not ran:
        yield Check("backends", False, "none could run the golden tile")


def _tried(engine: Backend, bundle: Bundle) -> Check:
    """A backend that opens and then gives up has failed; only one that cannot be opened is not tried."""
    try:
        return golden_check(engine, bundle)
    except (BackendError, BundleError) as error:
        return Check(f"golden tile: {engine.name}", False, str(error))
