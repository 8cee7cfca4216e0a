"""The one place that decides where models run and in which precision."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from functools import lru_cache


@dataclass(frozen=True, slots=True)
class Device:
    """Where a model runs.

    kind: "cuda", "mps" or "cpu". bf16: the device multiplies bfloat16 natively.
    threads: CPU threads to use. label: what the interface shows.
    """

    kind: str
    bf16: bool
    threads: int
    label: str


def cpu_threads() -> int:
    """CPU cores this process may use (honours affinity and container limits)."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1


@lru_cache(maxsize=1)
def pick_device() -> Device:
    """The best device here: CUDA, then Apple's MPS, then the CPU.

    Set DEITA_DEVICE=cpu to stay on the CPU.
    """
    threads = cpu_threads()
    if os.environ.get("DEITA_DEVICE", "") != "cpu" and _may_have_gpu():
        import torch

        if torch.cuda.is_available():
            return Device(
                "cuda", torch.cuda.is_bf16_supported(), threads, torch.cuda.get_device_name(0)
            )
        if torch.backends.mps.is_available():
            return Device("mps", False, threads, "Apple GPU")
    bf16 = _cpu_has_bf16()
    return Device("cpu", bf16, threads, f"CPU, {threads} cores, {'bf16' if bf16 else 'fp32'}")


def named_device(name: str) -> Device:
    """What torch calls "cpu", "cuda", "cuda:1" or "mps", whether or not it is the best here."""
    import torch

    kind = name.split(":")[0]
    if kind == "cuda" and torch.cuda.is_available():
        return Device(kind, torch.cuda.is_bf16_supported(), cpu_threads(), name)
    return Device(kind, kind == "cpu" and _cpu_has_bf16(), cpu_threads(), name)


def _may_have_gpu() -> bool:
    """False where a GPU is out of the question, so that torch (seconds) need not be asked."""
    if not sys.platform.startswith("linux"):
        return True
    signs = ("/dev/nvidiactl", "/dev/nvidia0", "/dev/kfd", "/dev/dxg", "/dev/nvmap")
    return any(os.path.exists(sign) for sign in signs)


def _cpu_has_bf16() -> bool:
    """True where the CPU multiplies bfloat16 natively (AVX-512 BF16 or AMX)."""
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as info:
            flags = next((line for line in info if line.startswith("flags")), "")
    except OSError:
        return False
    return any(flag in flags.split() for flag in ("avx512_bf16", "amx_bf16"))
