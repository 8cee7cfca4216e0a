"""Facts and flags of a conversation."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deita_core.conversation import ROLES, Conversation, Message
from deita_core.describe import FLAGS, approximate_tokens, describe, is_refusal, language_of

PROSE = "The river rises in the hills and flows through three towns before it meets the sea. "


def chat(*texts: str) -> Conversation:
    """Texts in turn, the user first."""
    speakers = ("user", "assistant")
    return Conversation(tuple(Message(speakers[n % 2], t) for n, t in enumerate(texts)))


def flags(*texts: str) -> set[str]:
    return set(describe(chat(*texts)).flags)


def test_a_good_answer_has_no_flag():
    facts = describe(chat("Describe the river.", PROSE.strip()))
    assert facts.flags == ()
    assert (facts.language, facts.turns) == ("en", 1)
    assert facts.characters == len("Describe the river." + PROSE.strip())
    assert facts.language_confidence > 0.7


def test_missing_and_empty_answers_are_told_apart():
    assert flags("Hi there") == {"no response"}
    assert flags("Hi there", " \n") == {"empty response"}
    assert flags("Hi there", PROSE, "And then?") == {"unanswered turn"}


@pytest.mark.parametrize("answer", ["Paris", "Paris.", "42", '"Yes!"', "是的", "Ja.", "twenty-one"])
def test_one_word_is_one_word(answer: str):
    assert "one-word response" in flags("What is it?", answer)


@pytest.mark.parametrize(
    "answer",
    ["New York", "print('hi')", "这是一个完整的句子。", "https://example.org/a/b", "{}", "a, b"],
)
def test_more_than_a_word_is_no_word(answer: str):
    assert "one-word response" not in flags("What is it?", answer)


def test_one_long_answer_is_enough_not_to_be_one_word():
    assert "one-word response" not in flags("Is it?", "Yes", "Why?", PROSE)


@pytest.mark.parametrize(
    "answer",
    [
        "Eat a banana!" * 100,
        "I do not know what to say. " * 8,
        "the same line again\n" * 6,
        "very " * 200,
        "谢谢你的问题，我很高兴回答。" * 10,
        "Once upon a time there was a king. " + "He was sad, so sad and sad. " * 20,
    ],
)
def test_loops_are_repeated_text(answer: str):
    assert "repeated text" in flags("Write something.", answer)


@pytest.mark.parametrize(
    "answer",
    [
        "- milk\n- bread\n- milk chocolate\n- white bread\n- butter",
        "| a | b |\n|---|---|\n" + "|   |   |\n" * 12,
        " ".join(str(n) for n in range(200)),
        "ha ha ha",
        "\n".join(f"x{n} = {n}" for n in range(40)),
    ],
)
def test_lists_tables_and_numbers_are_no_loops(answer: str):
    assert "repeated text" not in flags("Write something.", answer)


@pytest.mark.parametrize(
    "answer",
    [
        PROSE * 2 + "In the last of the towns there stands a bridge that people",
        PROSE + "In the last of the three towns you can see a bridge, a church and the",
        PROSE + "In the last of the three towns you can see a bridge, a church,",
        "Here it is:\n```python\nfor n in range(3):\n    print(n",
        "这条河发源于山区。它流经三个城镇。最后它在一个美丽的海湾汇入大海，那里的人们每天早上都会去海边散步并且",
    ],
)
def test_endings_in_the_middle_are_cut_off(answer: str):
    assert "cut-off ending" in flags("Tell me.", answer)


@pytest.mark.parametrize(
    "answer",
    [
        "Paris",
        "The capital of France is Paris",
        PROSE,
        "Here it is:\n```python\nprint(1)\n```",
        "int main() {\n  return 0;\n}",
        "Steps:\n1. Wash the rice until the water is clear, then drain it\n2. Boil it with salt",
        "这条河发源于山区，流经三个城镇。最后它汇入大海。",
        PROSE * 2 + "Read more at https://example.org/rivers/of/the/north/and/south",
        PROSE * 2 + "What a day by the water with my friends! #river #hills #friends",
        PROSE * 2 + "And so it goes on, said the old man to the boy (who was asleep by then)",
        "Dear Ann,\n\n" + PROSE + "\n\nKind regards,\nthe committee of the river",
        "| river | length of it in kilometres, measured from the source to the delta | hundred |",
    ],
)
def test_whole_endings_are_not_cut_off(answer: str):
    assert "cut-off ending" not in flags("Tell me.", answer)


@pytest.mark.parametrize(
    "answer",
    [
        "I'm sorry, but I can't help with that request.",
        "I’m sorry, I cannot assist with this.",
        "I cannot provide instructions for that.",
        "As an AI language model, I am not able to browse the internet.",
        "As an AI, I don't have access to your files.",
        "Sorry, I'm unable to do that.",
        "抱歉，我无法满足此要求。",
        "作为一个人工智能语言模型，我不能提供个人意见。",
        "申し訳ありませんが、そのご質問にはお答えできません。",
        "죄송하지만 그 요청은 도와드릴 수 없습니다.",
        "Es tut mir leid, aber ich kann dabei nicht helfen.",
        "Je suis désolé, mais je ne peux pas vous aider.",
        "Lo siento, pero no puedo ayudarte con eso.",
        "Desculpe, mas não posso ajudar com isso.",
        "Mi dispiace, ma non posso aiutarti.",
        "Извините, но я не могу помочь с этим.",
    ],
)
def test_refusals_are_recognised(answer: str):
    assert is_refusal(answer)


@pytest.mark.parametrize(
    "answer",
    [
        "I'm sorry to hear that. Here is what you can do.",
        "Sorry for the confusion! The result is 4.",
        "I can't do this, it's impossible.",
        "Unfortunately, the museum is closed on Mondays.",
        "You cannot provide two values for one key.",
        "As an AI researcher, she wrote many papers.",
        "对不起，但您不能进行那个棋步。",
        "Leider ist das Museum montags geschlossen.",
        "Lo siento mucho por tu pérdida.",
    ],
)
def test_apologies_that_help_are_no_refusals(answer: str):
    assert not is_refusal(answer)


def test_an_echo_is_told_whatever_the_case():
    assert "response equals prompt" in flags("Say hello to her", "say hello to her ")
    assert "response equals prompt" not in flags("Say hello to her", "Hello to her")


def test_the_first_speaker_after_the_system_counts():
    roles = [("system", "s"), ("assistant", "Welcome."), ("user", "Hi"), ("assistant", PROSE)]
    shifted = Conversation(tuple(Message(r, t) for r, t in roles))  # type: ignore[arg-type]
    assert "starts with the assistant" in describe(shifted).flags


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Wie komme ich von hier\nam schnellsten zum Bahnhof?", "de"),
        ("¿Dónde está la estación de tren más cercana?", "es"),
        ("请告诉我最近的火车站在哪里。", "zh"),
        ("一番近い駅はどこですか。", "ja"),
        ("가장 가까운 역은 어디에 있나요?", "ko"),
        ("Где находится ближайший вокзал?", "ru"),
        ("编写代码生成一个8位随机密码。\nimport random\nrandom.choice(chars)", "zh"),
        ("HOW DO I GET TO THE STATION FROM HERE?", "en"),
        ("", None),
        ("\n\n", None),
        ("42 + 1 = 43", None),
        ("```\ndef station(): return 1\n```", None),
        ("Paris", None),
    ],
)
def test_languages(text: str, language: str | None):
    assert language_of(text)[0] == language


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", 0),
        (" \n", 0),
        ("a", 1),
        ("The capital of France is Paris.", 8),
        ("12345", 6),
        ("你好，世界", 6),
    ],
)
def test_tokens_are_about_right(text: str, tokens: int):
    assert approximate_tokens(text) == tokens


# Lone surrogates, too.
ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=80)
CONVERSATION = st.lists(st.builds(Message, st.sampled_from(ROLES), ANY_TEXT), max_size=6)


@settings(max_examples=150, deadline=None, database=None)
@given(messages=CONVERSATION)
def test_any_conversation_can_be_described(messages: list[Message]):
    facts = describe(Conversation(tuple(messages)))
    assert set(facts.flags) <= set(FLAGS)
    assert 0 <= facts.language_confidence <= 1
    assert facts.characters == sum(len(m.content) for m in messages)


POOL = Path(__file__).resolve().parent.parent.parent / "shared" / "data" / "pools"


@pytest.mark.skipif(not POOL.is_dir(), reason="needs ../shared/data/pools")
def test_few_rows_of_a_clean_pool_are_flagged_as_cut_off_or_repeated():
    rows = json.loads((POOL / "alpaca_52k.json").read_text(encoding="utf-8"))[:4_000]
    found = [describe(chat(row["instruction"], row["output"])) for row in rows]
    odd = [f for f in found if {"cut-off ending", "repeated text", "refusal"} & set(f.flags)]
    assert len(odd) < 8
    assert sum(f.language == "en" for f in found) > 0.97 * len(found)
