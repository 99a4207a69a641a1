"""What Linux on a board says about its processor and memory: `/proc` and `/sys` files for emulation.

qemu's user mode passes the host's files through, but opens PREFIX/path instead of /path where that exists
below its prefix `-L`. Libraries that read the cache topology (cpuinfo, in ONNX Runtime and XNNPACK) crash on
that of a host.
"""

from __future__ import annotations

from pathlib import Path

from bnnpan_sim.board import Board, Processor

__all__ = ["write_board_files"]

_ALWAYS = ("fp", "evtstrm", "cpuid")
"""Features that every board of the kind reports beside those of its profile."""


def write_board_files(prefix: Path, board: Board, processor: Processor) -> None:
    """Write below `prefix` what a board would show; second-level caches are taken for shared."""
    files = {"proc/cpuinfo": _cpuinfo(board, processor), "proc/meminfo": _meminfo(board.ram_mib)}
    every, system = f"0-{board.cores - 1}", "sys/devices/system/cpu"
    files |= {f"{system}/{name}": every for name in ("possible", "present", "online")}
    files[f"{system}/kernel_max"] = "255"
    for core in range(board.cores):
        for name, text in _core_files(board, processor, core, every).items():
            files[f"{system}/cpu{core}/{name}"] = text
    for name, text in files.items():
        path = prefix / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.rstrip("\n") + "\n")


def _cpuinfo(board: Board, processor: Processor) -> str:
    features = " ".join([*_ALWAYS, *board.features])
    return "\n".join(
        f"processor\t: {core}\nBogoMIPS\t: 108.00\nFeatures\t: {features}\n"
        f"CPU implementer\t: 0x{processor.implementer:x}\nCPU architecture: 8\n"
        f"CPU variant\t: 0x{processor.variant:x}\n"
        f"CPU part\t: 0x{processor.part:03x}\nCPU revision\t: {processor.revision}\n"
        for core in range(board.cores)
    )


def _meminfo(memory_mib: int) -> str:
    total = memory_mib << 10
    fields = {"MemTotal": total, "MemFree": total * 3 // 4, "MemAvailable": total * 5 // 6, "SwapTotal": 0}
    return "\n".join(f"{name + ':':15} {kib} kB" for name, kib in fields.items())


def _core_files(board: Board, processor: Processor, core: int, every: str) -> dict[str, str]:
    files = {
        "cpufreq/cpuinfo_max_freq": str((board.clock_mhz or 1000) * 1000),
        "cpufreq/cpuinfo_min_freq": "600000",
        "topology/physical_package_id": "0",
        "topology/cluster_cpus_list": every,
        "topology/core_siblings_list": every,
    }
    caches = (
        (1, "Data", processor.l1_data_kib, str(core)),
        (1, "Instruction", processor.l1_instruction_kib, str(core)),
        (2, "Unified", processor.l2_kib, every),
    )
    for index, (level, kind, kib, shared) in enumerate(caches):
        facts = {"level": str(level), "type": kind, "size": f"{kib}K", "shared_cpu_list": shared}
        facts["coherency_line_size"] = "64"
        files |= {f"cache/index{index}/{name}": text for name, text in facts.items()}
    return files
