"""The kinds of fault, by name; which of them there are is data for the command line, scenarios and pages."""

from __future__ import annotations

KINDS = {
    "kill": "SIGKILL at the n-th call of some system call",
    "term": "SIGTERM at the n-th call of some system call",
    "enospc": "no space left from the n-th write on, until the process ends",
    "eio": "input/output error at the n-th read, write or fsync, once or from then on",
    "slow": "reads, writes and fsync take 20 ms longer",
    "thermal": "processor time goes down in steps to as little as a tenth, and back",
    "brownout": "SIGKILL again and again at later and later calls, then an undisturbed run",
    "powercut": "SIGKILL, or the run's success, and what the disk did not hold yet is lost",
    "flip-bundle": "1 to 3 bits flipped in the bundle before the run",
    "flip-scene": "1 to 3 bits flipped in PAN or MS before the run",
    "flip-partial": "SIGKILL, then 1 to 3 bits flipped in what the run left behind",
    "flip-memory": "1 to 4 bits flipped in the memory of the running process",
    "scene-grows": "bytes appended to PAN or MS while it is being read",
    "scene-truncated": "PAN or MS cut short while it is being read",
}
