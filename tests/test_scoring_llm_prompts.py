"""Prompts as tokens: digits looked up, long texts cut where it hurts least."""

from __future__ import annotations

from typing import Any

import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from deita_core.errors import ModelError
from deita_core.scoring.llm.prompts import FIXED_PARTS, Prompt, PromptTokenizer, shares
from deita_core.scoring.protocol import DIMENSIONS
from tests.tiny_models import DIGITS, SPEECH, Kind, tiny_tokenizer


def tokenizer_of(kind: Kind = "mistral", most: int = 120) -> PromptTokenizer:
    return PromptTokenizer(tiny_tokenizer(kind), most)


@pytest.mark.parametrize("kind", ["llama", "mistral"])
@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_the_digits_are_those_of_the_released_scorers(kind: Kind, dimension: Any) -> None:
    assert tokenizer_of(kind).score_tokens(dimension) == DIGITS[kind]


def words_only(*known: str, spell: bool = False) -> Any:
    """A tokenizer that knows whole words: those of the prompts, and `known`."""
    words = " ".join(part for d in DIMENSIONS for part in FIXED_PARTS[d]).split()
    vocabulary = {word: n for n, word in enumerate(dict.fromkeys(["?", *words, *known]))}
    made = Tokenizer(models.WordLevel(vocabulary, unk_token="?"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    if spell:
        made.normalizer = normalizers.Replace("3", "three times")
    return PreTrainedTokenizerFast(tokenizer_object=made, unk_token="?")


def test_a_digit_that_is_several_tokens_is_named_with_them() -> None:
    tokenizer = PromptTokenizer(
        words_only("1", "2", "three", "times", "4", "5", "6", spell=True), 99
    )
    with pytest.raises(ModelError, match=r"digit 3 is not a single token.*'three', 'times'"):
        tokenizer.score_tokens("quality")


def test_an_unknown_digit_is_named() -> None:
    with pytest.raises(ModelError, match=r"digit 6 is not a single token.*\['\?'\]"):
        PromptTokenizer(words_only("1", "2", "3", "4", "5"), 99).score_tokens("complexity")


def test_a_tokenizer_that_joins_blank_and_digit_gives_the_bare_digit() -> None:
    whole = "".join(FIXED_PARTS["complexity"])
    pieces = [*dict.fromkeys(whole), *"123456", *(f" {digit}" for digit in "123456")]
    merges = [(" ", digit) for digit in "123456"]
    made = Tokenizer(models.BPE({piece: n for n, piece in enumerate(pieces)}, merges))
    tokenizer = PromptTokenizer(PreTrainedTokenizerFast(tokenizer_object=made), 500)
    found = tokenizer.score_tokens("complexity")
    assert [made.id_to_token(token) for token in found] == list("123456")


def test_a_tokenizer_that_is_not_fast_is_refused() -> None:
    with pytest.raises(ModelError, match=r"put a tokenizer\.json beside the model"):
        PromptTokenizer(object(), 100)


def test_room_for_the_prompt_alone_is_too_little() -> None:
    with pytest.raises(ModelError, match="max_tokens is 40, but the prompts alone take up to"):
        tokenizer_of(most=40)


@pytest.mark.parametrize("kind", ["llama", "mistral"])
def test_a_prompt_that_fits_is_tokenized_as_a_whole(kind: Kind) -> None:
    bodies = [("sort é 日本 🙂 { }", "  a\n"), ("", "")]
    found = tokenizer_of(kind, 500).encode([Prompt("quality", both) for both in bodies])
    head, between, cue = FIXED_PARTS["quality"]
    texts = [head + instruction + between + response + cue for instruction, response in bodies]
    assert found.ids == [tiny_tokenizer(kind).encode(text) for text in texts]
    assert not found.truncated.any()


@pytest.mark.parametrize("kind", ["llama", "mistral"])
@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_what_is_cut_is_the_end_of_the_text_never_the_cue(kind: Kind, dimension: Any) -> None:
    tokenizer, bodies = tokenizer_of(kind, 150), (SPEECH * 3,) * (len(FIXED_PARTS[dimension]) - 1)
    found = tokenizer.encode([Prompt(dimension, bodies)])
    text = tiny_tokenizer(kind).decode(found.ids[0], skip_special_tokens=True)
    head, *_, cue = FIXED_PARTS[dimension]
    assert len(found.ids[0]) == 150
    assert text.strip().startswith(head + SPEECH[:10])
    assert text.endswith(cue)
    assert found.truncated.tolist() == [True]


def test_a_short_response_to_a_long_question_stays_whole() -> None:
    found = tokenizer_of().encode([Prompt("quality", (SPEECH * 9, "yes, all of them"))])
    text = tiny_tokenizer("mistral").decode(found.ids[0])
    assert "#Response#:\nyes, all of them \n##Quality: " in text
    assert "Question#:\nYou are a helpful" in text


def test_a_book_is_cut_before_it_is_tokenized() -> None:
    found = tokenizer_of().encode(
        [Prompt("complexity", (text,)) for text in (" " * 4000 + "x", "short")]
    )
    assert found.truncated.tolist() == [True, False]
    assert len(found.ids[0]) <= 120


def test_half_of_a_surrogate_pair_costs_no_batch() -> None:
    found = tokenizer_of().encode(
        [Prompt("complexity", (text,)) for text in ("broken \ud83d", "whole")]
    )
    assert len(found.ids) == 2


@pytest.mark.parametrize(
    ("lengths", "room", "kept"),
    [
        ([10, 100], 50, [10, 40]),
        ([100, 10], 50, [40, 10]),
        ([60, 100], 50, [25, 25]),
        ([5, 5], 50, [5, 5]),
        ([80], 50, [50]),
        ([80, 3], -1, [0, 0]),
    ],
)
def test_the_longer_text_is_cut_first(lengths: list[int], room: int, kept: list[int]) -> None:
    assert shares(lengths, room) == kept
