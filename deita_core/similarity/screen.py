"""The fast product that screens pairs of rows, and how far it can be off.

Unit rows are held in bfloat16 where the device multiplies it natively, else in float32. What
the product hides by rounding is bounded, never guessed: every pair that could be above a bound
is handed on to an exact comparison.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from deita_core.models.batches import one_thread_each
from deita_core.models.device import cpu_threads, pick_device

if TYPE_CHECKING:
    import torch

BLOCK = 4096
# start (r + 1,) and columns (e,): the columns of row i are columns[start[i]:start[i + 1]].
Lists = tuple[NDArray[np.int64], NDArray[np.int32]]
EVERY_CELL = np.int16(-32768)
Task = TypeVar("Task")
Result = TypeVar("Result")


def side_by_side(
    work: Callable[[Task], Result], tasks: Iterable[Task]
) -> Iterator[tuple[Task, Result]]:
    """Each task with its result, in order; two for each core are begun ahead of the caller."""
    waiting: deque[tuple[Task, Future[Result]]] = deque()
    with one_thread_each() as pool:
        for new in tasks:
            waiting.append((new, pool.submit(work, new)))
            if len(waiting) > 2 * cpu_threads():
                task, future = waiting.popleft()
                yield task, future.result()
        while waiting:
            task, future = waiting.popleft()
            yield task, future.result()


class Screen:
    """The directions of some rows, in low precision for the product and as they are.

    low: (m, d) tensor on the device. shift: (m,) float64, how far rounding moved each unit row
    (Euclidean distance). norms: (m,) float64, of the rows that `plain` gives.
    """

    def __init__(self, vectors: NDArray[np.floating], rows: NDArray[np.int64]) -> None:
        import torch

        device = pick_device()
        self.on_gpu = device.kind == "cuda"
        self.bf16 = device.bf16 and device.kind in ("cpu", "cuda")
        self._vectors = vectors
        self._rows = None if len(rows) == len(vectors) else rows
        dtype = torch.bfloat16 if self.bf16 else torch.float32
        self.low = torch.empty((len(rows), vectors.shape[1]), dtype=dtype)
        self.shift = np.empty(len(rows), np.float64)
        self.norms = np.empty(len(rows), np.float64)

        def fill(start: int) -> None:
            part = slice(start, start + BLOCK)
            unit = self.plain(part).astype(np.float64)
            self.norms[part] = np.sqrt(np.einsum("ij,ij->i", unit, unit))
            unit /= self.norms[part, None]
            self.low[part] = torch.from_numpy(unit)
            unit -= self.low[part].double().numpy()
            self.shift[part] = np.sqrt(np.einsum("ij,ij->i", unit, unit))

        with ThreadPoolExecutor(cpu_threads()) as pool:
            list(pool.map(fill, range(0, len(rows), BLOCK)))
        if self.on_gpu:
            self.low = self.low.cuda()

    def plain(self, part: slice) -> NDArray[np.floating]:
        """Rows as the exact comparison reads them, (k, d): not of length one, but of the same
        direction. float32 is not copied where no row is left out; float16 becomes float32.
        """
        block = np.asarray(self._vectors[part if self._rows is None else self._rows[part]])
        if block.dtype.itemsize > 4:  # its squares might not fit into float64
            block = block / np.abs(block).max(axis=1, keepdims=True, initial=0.0)
        return np.ascontiguousarray(block, np.float64 if block.dtype.itemsize > 4 else np.float32)

    def __len__(self) -> int:
        return len(self.low)

    @property
    def tile(self) -> int:
        """Height and width of the product whose cells stay in the cache (of a CPU core)."""
        return 4096 if self.on_gpu else 1024

    def slack(self, rows: slice, others: slice) -> float:
        """How far a product of two low rows can lie below or above their similarity, at most.

        |a'b' - ab| <= |a'||b' - b| + |a' - a||b|, and adding up d products in float32 is off by
        at most d * 2**-23 for vectors of length one. 1e-12 covers the similarity's own rounding.
        """
        one, other = self.shift[rows].max(initial=0.0), self.shift[others].max(initial=0.0)
        return float((1 + one) * other + one + 1.01 * self.low.shape[1] * 2.0**-23 + 1e-12)

    def near(self, rows: slice, others: slice, floor: float, cells: torch.Tensor) -> Lists:
        """For each of `rows` the places in `others` that can have a similarity above `floor`.

        Where the slices are the same, each pair once. cells: room for the product, bfloat16.
        """
        from deita_core.similarity.graph_kernel import RUN, near_cells

        cells = self.products(rows, others, cells)
        # Rounding to bfloat16 keeps order: what is at least the bound is so after rounding too.
        bound = bfloat16_bits(np.array([floor - self.slack(rows, others)]))
        same = rows == others
        if self.on_gpu or bound[0] < 0:
            value = bound.view(np.uint16).astype(np.uint32) << 16
            mask = cells >= float(value.view(np.float32)[0])
            found = (mask.triu(1) if same else mask).nonzero().to("cpu").numpy()
            start = np.searchsorted(found[:, 0], np.arange(len(cells) + 1))
            return start.astype(np.int64), found[:, 1].astype(np.int32)
        import torch

        bounds = np.full(len(cells), bound[0])
        skip = np.arange(1, len(cells) + 1) if same else np.zeros(len(cells), np.int64)
        lists: Lists = near_cells(cells.view(torch.int16).numpy(), bounds, skip, RUN)
        return lists

    def products(self, rows: slice, others: slice, cells: torch.Tensor) -> torch.Tensor:
        """(rows, others) bfloat16, in the room of `cells` where that is possible."""
        import torch

        left, right = self.low[rows], self.low[others]
        if not self.bf16:
            return torch.mm(left, right.T).to(torch.bfloat16)
        room = cells.view(-1)[: len(left) * len(right)].view(len(left), len(right))
        return torch.mm(left, right.T, out=room)

    def with_all(self, rows: NDArray[np.int64]) -> NDArray[np.int16]:
        """The products of some rows with all rows, (r, m), as the bits of bfloat16."""
        import torch

        left = self.low[torch.from_numpy(rows).to(self.low.device)]
        return torch.mm(left, self.low.T).to(torch.bfloat16).cpu().view(torch.int16).numpy()

    def room(self) -> torch.Tensor:
        """Room for the product of one tile."""
        import torch

        return torch.empty((self.tile, self.tile), dtype=torch.bfloat16, device=self.low.device)


def bfloat16_bits(values: NDArray[np.float64]) -> NDArray[np.int16]:
    """The bits of `values` in bfloat16, rounded to the nearest: (k,) int16."""
    import torch

    # Rounded on the way to float32 as well, and that must not end above one rounding alone.
    lower = torch.from_numpy(values - 1e-6).float()
    return lower.to(torch.bfloat16).view(torch.int16).numpy()
