"""A causal language model of `transformers` on this machine as a chat model.

Requests are gathered into batches. Each draws its tokens with random numbers of its own, out of its
key, so that what it says does not depend on its company (but for the last bits of the numbers).
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from deita_core.errors import ModelError
from deita_core.models.answers import AnswerLog
from deita_core.models.batches import out_of_memory
from deita_core.models.chat import ChatAnswer, ChatRequest
from deita_core.models.language_model import LanguageModel, load_language_model
from deita_core.models.options import ModelOptions
from deita_core.models.paying import Keep, PayingChat
from deita_core.models.spending import Purse, Spent

# Requests in a batch: on a CPU the weights are read once for all of them, on a GPU as well.
_CPU_BATCH, _GPU_BATCH = 8, 32


@dataclass(slots=True)
class _Waiting:
    key: str
    request: ChatRequest
    tokens: list[int]
    keep: Keep
    answer: asyncio.Future[ChatAnswer]


class LocalChat(PayingChat):
    """The model in a folder, or of that name on the hub, with its chat template.

    options: device, precision, max_tokens (of question and answer together), requests (in a
    batch). Its id ends with the revision, because other weights give other answers. Raises
    ModelError when it cannot be loaded, or has no chat template.
    """

    def __init__(self, name: str, options: ModelOptions, log: AnswerLog, purse: Purse) -> None:
        self._model = load_language_model(name, precision=options.precision, device=options.device)
        super().__init__(f"local:{self._model.name}#{self._model.revision[:12]}", log, purse)
        if not self._model.tokenizer.chat_template:
            raise ModelError(
                f"the model {name!r} has no chat template, so it cannot be asked: choose one that "
                "was tuned to follow instructions"
            )
        self._limit = min(self._model.limit, options.max_tokens or self._model.limit)
        usual = _CPU_BATCH if self._model.device == "cpu" else _GPU_BATCH
        self._size = options.requests or usual
        self._waiting: deque[_Waiting] = deque()
        self._asked = asyncio.Event()
        self._stopping = False

    @property
    def spent(self) -> Spent:
        """What the run has cost so far, in tokens."""
        return self.purse.spent(self._size)

    @property
    def most_open(self) -> int:
        """Enough that a batch is always full."""
        return 4 * self._size

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Answer what is asked meanwhile."""
        answering = asyncio.create_task(self._answer_all())
        try:
            yield
        finally:
            self._stopping = True
            answering.cancel()
            with suppress(asyncio.CancelledError):
                await answering

    async def answered(self, key: str, request: ChatRequest, keep: Keep) -> ChatAnswer:
        """The model's answer, once its batch is done; see `PayingChat`."""
        tokens = _tokens(self._model, request)
        room = self._limit - len(tokens)
        if room < request.max_tokens:
            return ChatAnswer(
                None,
                f"the question has {len(tokens):,} tokens and the answer may have "
                f"{request.max_tokens:,}, but the model reads {self._limit:,} together",
            )
        future: asyncio.Future[ChatAnswer] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(key, request, tokens, keep, future))
        self._asked.set()
        return await future

    async def _answer_all(self) -> None:
        while True:
            await self._asked.wait()
            await asyncio.sleep(0.01)  # who was answered just now asks the next question
            batch = self._next_batch()
            try:
                for one, answer in zip(
                    batch, await asyncio.to_thread(self._halving, batch), strict=True
                ):
                    if answer.text is not None:
                        one.keep(answer)
                    if not one.answer.done():
                        one.answer.set_result(answer)
            except Exception as error:
                for one in [*batch, *self._waiting]:
                    if not one.answer.done():
                        one.answer.set_exception(error)
                self._waiting.clear()
            if not self._waiting:
                self._asked.clear()

    def _next_batch(self) -> list[_Waiting]:
        """The oldest, and others whose answers may be as long: the longest holds up all."""
        waiting = [one for one in self._waiting if not one.answer.done()]
        if not waiting:
            self._waiting.clear()
            return []
        length = waiting[0].request.max_tokens
        batch = [one for one in waiting if one.request.max_tokens == length][: self._size]
        taken = set(map(id, batch))
        self._waiting = deque(one for one in waiting if id(one) not in taken)
        return batch

    def _halving(self, batch: Sequence[_Waiting]) -> list[ChatAnswer]:
        """The answers; without memory for them in halves, down to one that does not fit."""
        if not batch:
            return []
        try:
            return self._generated(batch)
        except (MemoryError, RuntimeError) as error:
            if not out_of_memory(error):
                raise
            error.__traceback__ = None  # its frames hold what filled the memory
        if len(batch) == 1:
            return [ChatAnswer(None, "out of memory")]
        half = len(batch) // 2
        self._size = max(1, min(self._size, half))
        return [*self._halving(batch[:half]), *self._halving(batch[half:])]

    def _generated(self, batch: Sequence[_Waiting]) -> list[ChatAnswer]:
        import torch
        from transformers import GenerationConfig, LogitsProcessorList, StoppingCriteriaList

        model, started = self._model, time.monotonic()
        width = max(len(one.tokens) for one in batch)
        ids = torch.full((len(batch), width), model.filler, device=model.device)
        mask = torch.zeros_like(ids)
        for row, one in enumerate(batch):  # (B, T), filled up on the left
            ids[row, width - len(one.tokens) :] = torch.tensor(one.tokens)
            mask[row, width - len(one.tokens) :] = 1
        ends = _ends(model)
        most = batch[0].request.max_tokens
        config = GenerationConfig(  # type: ignore[no-untyped-call]
            max_new_tokens=most, do_sample=False, pad_token_id=model.filler, eos_token_id=ends
        )
        with torch.inference_mode():
            found = model.network.generate(
                input_ids=ids,
                attention_mask=mask,
                generation_config=config,
                logits_processor=LogitsProcessorList([_drawing(batch)]),
                stopping_criteria=StoppingCriteriaList([lambda *_, **__: self._stopping]),
            )
        if self._stopping:
            raise ModelError("the run has ended")
        seconds = time.monotonic() - started
        return [
            _answer(model, one, said, ends, seconds)
            for one, said in zip(batch, found[:, width:].tolist(), strict=True)
        ]


def _tokens(model: LanguageModel, request: ChatRequest) -> list[int]:
    """The question in the model's template. A template without a system's role gets what the
    system says before the user's first words."""
    from jinja2 import TemplateError

    messages = [{"role": who, "content": text} for who, text in request.messages]

    def written(said: list[dict[str, str]]) -> list[int]:
        text = model.tokenizer.apply_chat_template(said, tokenize=False, add_generation_prompt=True)
        return model.tokens(text, marked=False)

    try:
        return written(messages)
    except TemplateError as error:
        if len(messages) < 2 or messages[0]["role"] != "system":
            raise ModelError(f"the model's chat template cannot be used: {error}") from error
        both = "\n\n".join(one["content"] for one in messages[:2])
        return written([{"role": "user", "content": both}, *messages[2:]])


def _ends(model: LanguageModel) -> list[int]:
    """The ids of the tokens that end an answer."""
    known = getattr(model.network.generation_config, "eos_token_id", None)
    found = [*(known if isinstance(known, list) else [known]), model.tokenizer.eos_token_id]
    return sorted({int(token) for token in found if token is not None})


def _drawing(batch: Sequence[_Waiting]) -> Any:
    """Adds Gumbel noise over the temperature: the highest is then a draw from the distribution
    (Gumbel-max trick), with random numbers of each request's own."""
    import torch

    sources = [torch.Generator().manual_seed(int(one.key[:15], 16)) for one in batch]

    def process(_: Any, scores: Any) -> Any:  # (B, V)
        for row, one in enumerate(batch):
            if one.request.temperature > 0:
                drawn = torch.rand(scores.shape[1], generator=sources[row], dtype=torch.float64)
                noise = -torch.log(-torch.log(drawn.clamp_min(1e-300)))
                scores[row] += one.request.temperature * noise.to(scores)
        return scores

    return process


def _answer(
    model: LanguageModel, one: _Waiting, said: list[int], ends: list[int], seconds: float
) -> ChatAnswer:
    length = next((place for place, token in enumerate(said) if token in ends), None)
    text = model.tokenizer.decode(said[:length], skip_special_tokens=True).strip()
    cut = length is None
    return ChatAnswer(
        text, None, len(one.tokens), len(said) if length is None else length, seconds, cut
    )
