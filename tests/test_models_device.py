"""deita_core.models.device: what is there and what fits, told without torch."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from deita_core.models.device import (
    KNOWN_SIZES,
    DeviceMemory,
    devices,
    nvidia_devices,
    weights_of,
    what_fits,
)

H200 = "0, NVIDIA H200, 143771, 143000, 9.0\n1, Tesla T4, 15360, 15000, 7.5\n2, broken\n"


def test_the_cpu_is_always_among_the_devices():
    cpu = devices()[-1]
    assert cpu.name == "cpu"
    assert 0 < cpu.free <= cpu.total
    assert set(cpu.precisions) == {"bf16", "fp32"}


def test_listing_devices_does_not_load_torch_without_a_gpu():
    code = (
        "import sys, os; os.environ['DEITA_DEVICE'] = 'cpu'; import deita_core.models.device as d; "
        "d.devices(); assert 'torch' not in sys.modules"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


def test_cards_are_read_with_the_precisions_they_have():
    large, small = nvidia_devices(H200)
    assert (large.name, large.label, large.total) == ("cuda:0", "NVIDIA H200", 143771 << 20)
    assert (large.precisions[0], small.precisions[0]) == ("bf16", "fp16")


@pytest.mark.parametrize(
    ("free", "fitting"),
    [(140e9, {"bf16", "fp16", "fp32", "int8", "int4"}), (24e9, {"int8", "int4"}), (6e9, set())],
)
def test_a_model_of_13_billion_weights_fits_by_precision(free: float, fitting: set[str]):
    card = DeviceMemory(
        "cuda:0", "card", int(free), int(free), next(nvidia_devices(H200)).precisions
    )
    found = what_fits(KNOWN_SIZES["hkust-nlp/deita-quality-scorer"], card)
    assert {fit.precision for fit in found if fit.fits} == fitting


def test_weights_are_counted_from_a_folder_and_known_by_name(tmp_path: Path):
    save_file({"a": np.zeros((3, 4), np.float32)}, tmp_path / "one.safetensors")
    save_file({"b": np.zeros(5, np.float16)}, tmp_path / "two.safetensors", {"format": "pt"})
    assert weights_of(str(tmp_path)) == 17
    assert weights_of("mistralai/Mistral-7B-v0.1") == 7_241_732_096
    assert weights_of("nobody/knows") is None
