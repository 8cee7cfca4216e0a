"""Datasets of the Hugging Face hub, copied into the data folder as JSON Lines."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from deita_core.conversation import without_surrogates
from deita_core.errors import PoolError
from deita_core.files import whole_file

# Without this, being offline shows only after minutes of retries.
SECONDS_TO_ANSWER = 5.0
ROWS_PER_REPORT = 1_000
_NAME = re.compile(r"(?P<path>[\w.-]+(?:/[\w.-]+)?)(?::(?P<config>[\w.-]+))?")


def snapshot(name: str, split: str, into: Path, progress: Callable[[int], None]) -> Path:
    """Copies a split of a dataset into the folder `into` and returns the JSON Lines file.

    name: "owner/dataset", or "owner/dataset:configuration". progress: called with the rows so
    far. Raises PoolError when the hub cannot be reached (within seconds), does not know dataset,
    configuration or split, or breaks off.
    """
    match = _NAME.fullmatch(name.strip())
    if match is None or ".." in name or not re.fullmatch(r"[\w.\[\]:%+-]+", split):
        raise PoolError(
            f"{name!r} (split {split!r}) is no dataset name: write it as owner/dataset, "
            "or owner/dataset:configuration"
        )
    path, config = match["path"], match["config"]
    if Path(path).exists():
        # `datasets` would read the folder of that name instead of the hub's dataset.
        raise PoolError(f"there is a local path {path!r}: rename it, or import it as a file")
    check_known(path)
    into.mkdir(parents=True, exist_ok=True)
    label = "--".join(filter(None, (*path.split("/"), config, re.sub(r"[^\w-]+", "_", split))))
    target = into / f"{label}.jsonl"
    with whole_file(target) as partial:
        _write(_rows(path, config, split), partial, progress)
    return target


def check_known(path: str) -> None:
    """Asks the hub for the dataset. Raises PoolError when it does not answer or know it."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    try:
        HfApi().dataset_info(path, timeout=SECONDS_TO_ANSWER)
    except OfflineModeIsEnabled as error:
        raise PoolError(f"HF_HUB_OFFLINE is set, so {path} cannot be fetched: unset it") from error
    except HfHubHTTPError as error:
        if error.response.status_code in (401, 403, 404):
            raise PoolError(
                f"the hub has no dataset {path!r} that can be read here: check the name; a "
                "private or gated one needs HF_TOKEN"
            ) from error
        raise PoolError(
            f"the hub answered {error.response.status_code} for {path!r}: try again later"
        ) from error
    except Exception as error:  # those of its HTTP client, or of the hub's own checks of a name
        raise PoolError(
            f"the hub cannot be reached ({error}): {path!r} needs the network; download the "
            "file elsewhere and import it from the data folder"
        ) from error


def _rows(path: str, config: str | None, split: str) -> Iterator[dict[str, Any]]:
    import datasets

    # Whatever goes wrong inside `datasets` (a dozen kinds of errors) means the same here.
    try:
        yield from datasets.load_dataset(path, config, split=split, streaming=True)
    except Exception as error:
        raise PoolError(f"{path!r}, split {split!r}, cannot be read: {error}") from error


def _write(rows: Iterable[dict[str, Any]], out: Path, progress: Callable[[int], None]) -> None:
    count = 0
    with out.open("w", encoding="utf-8") as file:
        for count, row in enumerate(rows, 1):
            line = json.dumps(row, ensure_ascii=False, default=str)
            file.write(without_surrogates(line) + "\n")
            if count % ROWS_PER_REPORT == 0:
                progress(count)
    progress(count)
