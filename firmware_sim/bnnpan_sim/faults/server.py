"""Runs `bnnpan` again and again without starting Python again: what is imported once is forked.

A process of its own, told by lines of JSON on standard input. A forked run has everything imported and
nothing opened: imports take a second, the run of a small scene a third of one. It stops itself before the
first own step, so that whoever wants to look on can take its place first, and goes on by SIGCONT.
"""

from __future__ import annotations

import atexit
import importlib
import json
import os
import signal
import sys
from contextlib import suppress
from typing import Any


def main() -> None:
    """Serve until standard input ends: a line with `{"pid": ...}` for each start, one more for its end."""
    for line in sys.stdin:
        request: dict[str, Any] = json.loads(line)
        if "import" in request:
            _import(request["import"])
            _say({"imported": len(sys.modules)})
            continue
        pid = os.fork()
        if pid == 0:
            _run(request)
        _say({"pid": pid})
        _, status = os.waitpid(pid, 0)
        _say({"exit": os.waitstatus_to_exitcode(status)})


def _import(names: list[str]) -> None:
    for name in names:
        with suppress(Exception):  # names that are made up while running cannot be imported, and need not be
            importlib.import_module(name)


def _run(request: dict[str, Any]) -> None:
    """The forked half; it never returns."""
    os.setsid()
    for number, path, flags in (
        (0, os.devnull, os.O_RDONLY),
        (1, request["stdout"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
        (2, request["stderr"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
    ):
        descriptor = os.open(path, flags, 0o666)
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.kill(os.getpid(), signal.SIGSTOP)
    code = 1
    try:
        code = _bnnpan(request["arguments"])
        if "modules" in request:
            with open(request["modules"], "w", encoding="utf-8") as file:
                json.dump(sorted(sys.modules), file)
        atexit._run_exitfuncs()
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        with suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _bnnpan(arguments: list[str]) -> int:
    from bnnpan_runtime.cli import main as bnnpan

    try:
        bnnpan(arguments, prog_name="bnnpan")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


def _say(value: dict[str, Any]) -> None:
    print(json.dumps(value), flush=True)


if __name__ == "__main__":
    main()
