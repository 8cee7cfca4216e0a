"""models.local_chat: a language model of this machine answers like an endpoint would."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path

import pytest

from deita_core.errors import ModelError
from deita_core.models.answers import AnswerLog
from deita_core.models.chat import ChatAnswer, ChatRequest
from deita_core.models.chat_models import checked_chat_name, open_chat
from deita_core.models.options import ModelOptions
from deita_core.models.running import run_chats
from tests.tiny_models import tiny_model

TEMPLATE = (
    "{% for message in messages %}"
    "{% if message.role == 'system' %}{{ raise_exception('no system') }}{% endif %}"
    "[{{ message.role }}] {{ message.content }}\n{% endfor %}[assistant]"
)
FP32 = ModelOptions(precision="fp32", device="cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny LLaMA with a chat template that knows no system."""
    made = tmp_path_factory.mktemp("chat") / "model"
    shutil.copytree(tiny_model("llama", scorer=False), made)
    config = made / "tokenizer_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"chat_template": TEMPLATE}))
    return made


def asked(folder: Path, requests: list[ChatRequest], log: Path) -> list[ChatAnswer]:
    found: dict[int, ChatAnswer] = {}

    async def work() -> None:
        async with open_chat(f"local:{folder}", FP32, AnswerLog(log)) as chat:

            async def one(place: int) -> tuple[int, ChatAnswer]:
                return place, await chat.ask(requests[place])

            await run_chats(map(one, range(len(requests))), lambda got: found.update([got]))

    asyncio.run(asyncio.wait_for(work(), 120))
    return [found[place] for place in range(len(requests))]


def question(text: str, temperature: float = 1.0, draw: int = 0, most: int = 8) -> ChatRequest:
    return ChatRequest((("user", text),), most, temperature, None, draw)


def test_an_answer_is_its_own_in_any_company(folder: Path, tmp_path: Path):
    texts = ["write a list", "sort numbers and explain what the function does", "why", "an example"]
    requests = [question(text, temperature) for text in texts for temperature in (0.0, 1.0)]
    together = asked(folder, requests, tmp_path / "a")
    alone = [asked(folder, [one], tmp_path / str(n))[0] for n, one in enumerate(requests[:3])]
    assert [one.text for one in alone] == [one.text for one in together[:3]]
    assert len({one.text for one in together}) > 1
    assert all(one.cut and one.answer_tokens == 8 for one in together)


def test_other_draws_are_other_answers_and_the_log_knows_them(folder: Path, tmp_path: Path):
    requests = [question("sort numbers", draw=draw) for draw in range(4)]
    first = asked(folder, requests, tmp_path / "log")
    assert len({one.text for one in first}) == 4
    assert asked(folder, requests, tmp_path / "log") == first  # to the second: out of the log


def test_what_the_system_says_stands_before_the_question_where_it_has_no_role(
    folder: Path, tmp_path: Path
):
    with_system = ChatRequest((("system", "be brief"), ("user", "sort")), 4, 0.0)
    by_hand = question("be brief\n\nsort", 0.0, most=4)
    one, other = asked(folder, [with_system, by_hand], tmp_path / "log")
    assert (one.text, one.prompt_tokens) == (other.text, other.prompt_tokens)


def test_a_question_that_is_too_long_costs_itself_alone(folder: Path, tmp_path: Path):
    long, short = asked(folder, [question("sort " * 600), question("sort")], tmp_path / "log")
    assert "but the model reads 512 together" in (long.reason or "")
    assert short.text is not None


def test_a_model_without_a_chat_template_is_refused(tmp_path: Path):
    with pytest.raises(ModelError, match="no chat template"):
        asked(tiny_model("llama", scorer=False), [question("x")], tmp_path / "log")


def test_a_folder_is_looked_at_before_the_job(folder: Path, tmp_path: Path):
    assert checked_chat_name(f"local:{folder}") == f"local:{folder}"
    with pytest.raises(ModelError, match="no folder"):
        checked_chat_name(f"local:{tmp_path / 'none'}")
