"""Runs on the emulated board: leaves the application its memory, runs it, writes down how it ended.

Python of the board and its standard library only. Reads `/data/job.json`, writes `/data/out`; lines on the
console that begin with @ are for the host.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

DATA = Path("/data")
POLL_SECONDS = 0.25
KIB = 1024
MEMORY = Path("/proc/meminfo")


def main() -> None:
    """The whole job."""
    job = json.loads((DATA / "job.json").read_text())
    Path("/proc/self/oom_score_adj").write_text("-1000")
    set_memory_aside(job["limit_bytes"])
    available = field(MEMORY, "MemAvailable:")
    print(f"@started {available}", flush=True)
    result = run(job["arguments"], job["variables"])
    result |= {
        "available_bytes": available,
        "total_bytes": field(MEMORY, "MemTotal:"),
        "kernel": os.uname().release,
    }
    with (DATA / "result.json").open("w") as file:
        json.dump(result, file)
        file.flush()
        os.fsync(file.fileno())
    print(f"@finished {result['exit_code']}", flush=True)


def set_memory_aside(limit_bytes: int) -> None:
    """Take what is not the application's: huge pages are neither given back nor filled."""
    Path("/proc/sys/vm/drop_caches").write_text("3")
    spare = field(MEMORY, "MemAvailable:") - limit_bytes
    pages = max(0, spare // field(MEMORY, "Hugepagesize:"))
    Path("/proc/sys/vm/nr_hugepages").write_text(str(pages))


def run(arguments: list[str], variables: dict[str, str]) -> dict[str, object]:
    """Run `bnnpan` to its end; sizes in bytes, `samples` of seconds and resident bytes."""
    free = lowest = field(MEMORY, "MemFree:")
    kills = field(Path("/proc/vmstat"), "oom_kill")
    samples = []
    begin = time.monotonic()
    with (DATA / "out" / "stdout").open("wb") as stdout, (DATA / "out" / "stderr").open("wb") as stderr:
        command = [sys.executable, "-m", "bnnpan_runtime", *arguments]
        process = subprocess.Popen(command, stdout=stdout, stderr=stderr, env=variables, cwd=DATA)
        status = Path(f"/proc/{process.pid}/status")
        Path(f"/proc/{process.pid}/oom_score_adj").write_text("0")
        while True:
            pid, code, usage = os.wait4(process.pid, os.WNOHANG)
            if pid:
                break
            samples.append((round(time.monotonic() - begin, 3), field(status, "VmRSS:")))
            lowest = min(lowest, field(MEMORY, "MemFree:"))
            time.sleep(POLL_SECONDS)
    code = os.waitstatus_to_exitcode(code)
    return {
        "exit_code": code if code >= 0 else 128 - code,
        "oom_kills": field(Path("/proc/vmstat"), "oom_kill") - kills,
        "peak_bytes": usage.ru_maxrss * KIB,
        "charged_peak_bytes": free - lowest,
        "seconds": time.monotonic() - begin,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "samples": samples,
    }


def field(path: Path, name: str) -> int:
    """A figure out of a file of `/proc`, in bytes where it has a unit; 0 if it is not there."""
    for line in path.read_text().splitlines():
        words = line.split()
        if words[0] == name:
            return int(words[1]) * (KIB if words[-1] == "kB" else 1)
    return 0


if __name__ == "__main__":
    main()
