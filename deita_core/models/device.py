"""The devices of this machine: where models run, in which precision, and which ones fit.

Told without loading torch wherever there cannot be a GPU.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from pathlib import Path

import psutil

# Bytes a weight takes, with the scales that int8 and int4 need beside it.
BYTES_PER_WEIGHT = {"fp32": 4.0, "bf16": 2.0, "fp16": 2.0, "int8": 1.1, "int4": 0.6}
# Beside the weights: buffers, activations of a batch, the program itself.
_BESIDE = {"cuda": 2.5e9, "mps": 2e9, "cpu": 1.5e9}
_SMI = "--query-gpu=index,name,memory.total,memory.free,compute_cap"
# Weights of models that are often chosen.
KNOWN_SIZES = {
    "hkust-nlp/deita-complexity-scorer": 13_015_864_320,
    "hkust-nlp/deita-quality-scorer": 13_015_864_320,
    "mistralai/Mistral-7B-v0.1": 7_241_732_096,
}


@dataclass(frozen=True, slots=True)
class Device:
    """Where a model runs. kind: "cuda", "mps" or "cpu". bf16: it multiplies bfloat16 natively.
    threads: CPU threads to use. label: for people."""

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
    """The best device here: CUDA, then Apple's MPS, then the CPU (DEITA_DEVICE=cpu: that alone)."""
    threads = cpu_threads()
    if os.environ.get("DEITA_DEVICE", "") != "cpu" and _may_have_gpu():
        import torch

        if torch.cuda.is_available():
            name = torch.cuda.get_device_name(0)
            return Device("cuda", torch.cuda.is_bf16_supported(), threads, name)
        if torch.backends.mps.is_available():
            return Device("mps", False, threads, "Apple GPU")
    bf16 = _cpu_has_bf16()
    return Device("cpu", bf16, threads, f"CPU, {threads} cores, {'bf16' if bf16 else 'fp32'}")


def has_bf16(name: str) -> bool:
    """Whether what torch calls "cpu", "cuda", "cuda:1" or "mps" multiplies bfloat16 natively."""
    import torch

    if name.startswith("cuda"):
        return torch.cuda.is_available() and torch.cuda.is_bf16_supported()
    return name == "cpu" and _cpu_has_bf16()


def _may_have_gpu() -> bool:
    """False where a GPU is out of the question, so that torch (seconds) need not be asked."""
    if not sys.platform.startswith("linux"):
        return True
    signs = ("/dev/nvidiactl", "/dev/nvidia0", "/dev/kfd", "/dev/dxg", "/dev/nvmap")
    return any(os.path.exists(sign) for sign in signs)


def _cpu_has_bf16() -> bool:
    """True where the CPU multiplies bfloat16 natively (AVX-512 BF16 or AMX)."""
    try:
        info = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    return re.search(r"^flags\b.*\s(avx512|amx)_bf16\b", info, re.MULTILINE) is not None


@dataclass(frozen=True, slots=True)
class DeviceMemory:
    """A device that models can run on. name: as torch names it. total, free: bytes. precisions:
    those it can load and run a model in, the quickest first."""

    name: str
    label: str
    total: int
    free: int
    precisions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Fit:
    """Whether a model fits a device in a precision; needed: bytes, about."""

    precision: str
    needed: int
    fits: bool


def devices() -> list[DeviceMemory]:
    """Every device, GPUs first, with the memory free at this moment."""
    return [*_nvidia(), *_mps(), _cpu()]


def what_fits(weights: int, device: DeviceMemory) -> list[Fit]:
    """How a model with that many weights fits a device, for each of its precisions."""
    kind = device.name.split(":")[0]
    needs = {p: int(weights * BYTES_PER_WEIGHT[p] + _BESIDE[kind]) for p in device.precisions}
    return [Fit(p, needed, needed <= device.free) for p, needed in needs.items()]


def weights_of(model: str) -> int | None:
    """How many weights a model has: a local folder, by the headers of its safetensors files (a few
    KB), or a known name; else None."""
    from safetensors import SafetensorError, safe_open

    folder = Path(model).expanduser()
    if not folder.is_dir():
        return KNOWN_SIZES.get(model)
    count = 0
    for file in folder.glob("*.safetensors"):
        try:
            with safe_open(file, framework="numpy") as opened:
                names = opened.keys()
                count += sum(prod(opened.get_slice(name).get_shape()) for name in names)
        except (OSError, SafetensorError):
            return None  # loading it will say what is wrong with the file
    return count or None


def _nvidia() -> Iterator[DeviceMemory]:
    program = shutil.which("nvidia-smi")
    if program is None or pick_device().kind != "cuda":
        return
    command = [program, _SMI, "--format=csv,noheader,nounits"]
    try:
        lines = subprocess.run(command, capture_output=True, text=True, timeout=10).stdout  # noqa: S603 - the commands stand in this file
    except (OSError, subprocess.TimeoutExpired):
        return
    yield from nvidia_devices(lines)


def nvidia_devices(lines: str) -> Iterator[DeviceMemory]:
    """Devices from what nvidia-smi prints: index, name, total MiB, free MiB, capability."""
    for line in lines.splitlines():
        parts = [part.strip() for part in line.split(",")]
        if len(parts) != 5 or not (parts[2].isdigit() and parts[3].isdigit()):
            continue
        generation = parts[4].split(".")[0]
        bf16 = generation.isdigit() and int(generation) >= 8
        first = ("bf16", "fp32", "fp16") if bf16 else ("fp16", "fp32")
        total, free = int(parts[2]) << 20, int(parts[3]) << 20
        yield DeviceMemory(f"cuda:{parts[0]}", parts[1], total, free, (*first, "int8", "int4"))


def _mps() -> Iterator[DeviceMemory]:
    if pick_device().kind == "mps":
        memory = psutil.virtual_memory()
        yield DeviceMemory("mps", "Apple GPU", memory.total, memory.available, ("fp16", "fp32"))


def _cpu() -> DeviceMemory:
    memory = psutil.virtual_memory()
    total, free = memory.total, memory.available
    limit = _container_limit()
    if limit is not None and limit[0] < total:
        total, free = limit[0], min(free, limit[0] - limit[1])
    device = pick_device()
    precisions = ("bf16", "fp32") if device.kind == "cpu" and device.bf16 else ("fp32", "bf16")
    return DeviceMemory("cpu", f"CPU, {cpu_threads()} cores", total, max(0, free), precisions)


def _container_limit() -> tuple[int, int] | None:
    """Most and present bytes of the container this runs in, or None without a limit."""
    folder = Path("/sys/fs/cgroup")
    try:
        most = (folder / "memory.max").read_text(encoding="ascii").strip()
        used = (folder / "memory.current").read_text(encoding="ascii").strip()
        return (int(most), int(used)) if most.isdigit() else None
    except (OSError, ValueError):
        return None
