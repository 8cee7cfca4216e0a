"""How answers that refuse begin, in several languages."""

from __future__ import annotations

import re

LOOKED_AT = 300

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
    return _REFUSAL.match(answer[:LOOKED_AT].replace("’", "'")) is not None
