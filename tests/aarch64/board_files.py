"""What Linux on a board says about its processor and memory: `/proc` and `/sys` files for emulation.

qemu's user mode passes the host's files through, but opens PREFIX/path instead of /path where that exists
below its prefix `-L`. Libraries that read the cache topology (cpuinfo, in ONNX Runtime and XNNPACK) crash on
that of a host.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["PROCESSORS", "Processor", "write_board_files"]

_ARMV8_0 = "fp asimd evtstrm crc32 cpuid"
_ARMV8_2 = (
    "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp"
)


@dataclass(frozen=True)
class Processor:
    """A core as `/proc/cpuinfo` names it (Main ID Register), and its caches in KiB.

    The second level is shared by all cores of the boards below, except on Cortex-A76.
    """

    part: int
    variant: int
    revision: int
    features: str
    instructions_kib: int
    data_kib: int
    second_level_kib: int
    maximum_khz: int


PROCESSORS = {
    # Raspberry Pi Zero 2 W and 3 B+, Jetson Nano, Raspberry Pi 4, Raspberry Pi 5.
    "cortex-a53": Processor(0xD03, 0, 4, _ARMV8_0, 32, 32, 512, 1_000_000),
    "cortex-a57": Processor(0xD07, 1, 1, _ARMV8_0, 48, 32, 2048, 1_479_000),
    "cortex-a72": Processor(0xD08, 0, 3, _ARMV8_0, 48, 32, 1024, 1_500_000),
    "cortex-a76": Processor(0xD0B, 4, 1, _ARMV8_2, 64, 64, 512, 2_400_000),
}
"""By the name qemu knows the core under."""


def write_board_files(prefix: Path, processor: Processor, *, cores: int = 4, memory_mib: int = 1024) -> None:
    """Write below `prefix` what a board with these cores and this memory would show."""
    files = {"proc/cpuinfo": _cpuinfo(processor, cores), "proc/meminfo": _meminfo(memory_mib)}
    every, system = f"0-{cores - 1}", "sys/devices/system/cpu"
    files |= {f"{system}/{name}": every for name in ("possible", "present", "online")}
    files[f"{system}/kernel_max"] = "255"
    for core in range(cores):
        for name, text in _core_files(processor, core, every).items():
            files[f"{system}/cpu{core}/{name}"] = text
    for name, text in files.items():
        path = prefix / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.rstrip("\n") + "\n")


def _cpuinfo(processor: Processor, cores: int) -> str:
    return "\n".join(
        f"processor\t: {core}\nBogoMIPS\t: 108.00\nFeatures\t: {processor.features}\n"
        f"CPU implementer\t: 0x41\nCPU architecture: 8\nCPU variant\t: 0x{processor.variant:x}\n"
        f"CPU part\t: 0x{processor.part:03x}\nCPU revision\t: {processor.revision}\n"
        for core in range(cores)
    )


def _meminfo(memory_mib: int) -> str:
    total = memory_mib << 10
    fields = {"MemTotal": total, "MemFree": total * 3 // 4, "MemAvailable": total * 5 // 6, "SwapTotal": 0}
    return "\n".join(f"{name + ':':15} {kib} kB" for name, kib in fields.items())


def _core_files(processor: Processor, core: int, every: str) -> dict[str, str]:
    files = {
        "cpufreq/cpuinfo_max_freq": str(processor.maximum_khz),
        "cpufreq/cpuinfo_min_freq": "600000",
        "topology/physical_package_id": "0",
        "topology/cluster_cpus_list": every,
        "topology/core_siblings_list": every,
    }
    caches = (
        (1, "Data", processor.data_kib, str(core)),
        (1, "Instruction", processor.instructions_kib, str(core)),
        (2, "Unified", processor.second_level_kib, every),
    )
    for index, (level, kind, kib, shared) in enumerate(caches):
        facts = {"level": str(level), "type": kind, "size": f"{kib}K", "shared_cpu_list": shared}
        facts["coherency_line_size"] = "64"
        files |= {f"cache/index{index}/{name}": text for name, text in facts.items()}
    return files
