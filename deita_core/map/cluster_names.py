"""Names for clusters: the words that are in their rows and not in others.

Class-based TF-IDF (Grootendorst, arXiv 2203.05794): the weight of word w in cluster c is
tf(w, c) * log(1 + A / tf(w)), with the share of w among the words of c, how often w occurs in
all, and the mean number A of words in a cluster. Here a word counts once a row, so that one long
row does not name its cluster.

That alone would name a German cluster of an English pool "der, die, das". So a word must also be
in at least twice as many rows of its cluster as in rows of the same languages elsewhere.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from deita_core.conversation import Conversation
from deita_core.similarity.words import UNSPACED

if TYPE_CHECKING:
    from scipy.sparse import csr_array

# Of each message the beginning, and of a conversation the first messages: what it is about.
MESSAGE_CHARACTERS, MESSAGES = 600, 4
WORDS = 8
NAME_WORDS = 3
_DISTINCTIVE = 2.0
_MOST_WORDS = 60_000
_SHORTEST_WORD = 3
_LANGUAGE_ROWS = 30
_TOKEN = re.compile(rf"[{UNSPACED}]+|[^\W\d_{UNSPACED}][^\W_{UNSPACED}]*(?:['’](?!s\b)[^\W\d_]+)?")
# Characters of Chinese that hold sentences together, and Japanese hiragana, which does so there.
_GRAMMAR = re.compile(
    "[\u3041-\u309f的了是在和与或就都而及也很这那我你他她它们吗呢吧啊一不么什怎为以其之]"
)
_IS_UNSPACED = re.compile(rf"[{UNSPACED}]")


def cluster_words(
    texts: Iterable[str], labels: NDArray[np.integer], languages: Sequence[str]
) -> list[tuple[str, ...]]:
    """Up to `WORDS` distinctive words of each cluster, the most distinctive first.

    texts: of n rows. labels: (n,), 0 to k - 1, and -1 for no cluster. languages: of n rows.
    A cluster whose rows hold no word has none. Memory: 24 bytes a different word of a row.
    """
    clusters = int(labels.max(initial=-1)) + 1
    counted = _counted(texts)
    if counted is None or not clusters:
        return [()] * clusters
    holds, names = counted
    in_cluster = _summed(holds, labels, clusters)
    weight = _class_tf_idf(in_cluster)
    expected = _expected(holds, labels, clusters, languages)
    found = []
    for cluster in range(clusters):
        distinctive = in_cluster[cluster] >= _DISTINCTIVE * expected[cluster]
        order = np.lexsort((np.arange(len(names)), -weight[cluster], ~distinctive))
        order = order[weight[cluster][order] > 0]
        if (enough := int(distinctive[order].sum())) >= NAME_WORDS:
            order = order[:enough]
        found.append(_different(names[place] for place in order[: 6 * WORDS]))
    return found


def opening(conversation: Conversation) -> str:
    """What a conversation is about, as `cluster_words` takes it: how its first messages begin."""
    said = [m.content for m in conversation.messages if m.role in ("user", "assistant")]
    return "\n".join(one[:MESSAGE_CHARACTERS] for one in said[:MESSAGES])


def name_of(words: Sequence[str], number: int) -> str:
    """ "recipe, chicken, oven"; a cluster without words goes by its number."""
    return ", ".join(words[:NAME_WORDS]) or f"cluster {number}"


def tokens(text: str) -> list[str]:
    """What can be part of a name: words of three letters and more in lower case, and in scripts
    without spaces every two characters that follow each other and are no grammar."""
    found: list[str] = []
    for token in _TOKEN.findall(unicodedata.normalize("NFKC", text).casefold()):
        if _IS_UNSPACED.match(token):
            pairs = (first + second for first, second in pairwise(token))
            found += [pair for pair in pairs if not _GRAMMAR.search(pair)]
        elif len(token) >= _SHORTEST_WORD:
            found.append(token)
    return found


def _counted(texts: Iterable[str]) -> tuple[csr_array, NDArray[Any]] | None:
    """Which words each row holds, (n, v) of 0 and 1, and the words (v,); None without a word."""
    from scipy.sparse import csr_array
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS, CountVectorizer

    vectorizer = CountVectorizer(
        analyzer=lambda text: [one for one in tokens(text) if one not in ENGLISH_STOP_WORDS],
        binary=True,
        max_features=_MOST_WORDS,
        dtype=np.float32,
    )
    try:
        holds = csr_array(vectorizer.fit_transform(texts))
    except ValueError as error:
        if "empty vocabulary" not in str(error):
            raise
        return None
    return holds, vectorizer.get_feature_names_out()


def _summed(holds: csr_array, of: NDArray[np.integer], groups: int) -> NDArray[np.float32]:
    """In how many rows of each group each word is: (groups, v)."""
    from scipy.sparse import csr_array

    rows = np.flatnonzero(of >= 0)
    ones = np.ones(len(rows), np.float32)
    member = csr_array((ones, (of[rows], rows)), shape=(groups, holds.shape[0]))
    summed: NDArray[np.float32] = (member @ holds).toarray()
    return summed


def _class_tf_idf(in_cluster: NDArray[np.float32]) -> NDArray[np.float32]:
    """The weights (k, v) by the formula above; in_cluster: (k, v)."""
    words = in_cluster.sum(axis=1, keepdims=True)
    often = in_cluster.sum(axis=0)
    with np.errstate(divide="ignore"):
        rarity = np.log1p(words.mean() / often, where=often > 0, out=np.zeros_like(often))
    weight: NDArray[np.float32] = in_cluster / np.maximum(words, 1.0) * rarity
    return weight


def _expected(
    holds: csr_array, labels: NDArray[np.integer], clusters: int, languages: Sequence[str]
) -> NDArray[np.float32]:
    """In how many rows of each cluster a word would be, were it spread evenly: (k, v).

    Evenly over the rows of the same language that are in other clusters, or in none.
    """
    _, language, often = np.unique(
        np.asarray(languages, dtype=str), return_inverse=True, return_counts=True
    )
    # Languages of a few rows, guesses for the most part, count as one.
    language = np.where(often[language] >= _LANGUAGE_ROWS, language, len(often))
    expected = np.zeros((clusters, holds.shape[1]), np.float32)
    for code in np.unique(language).tolist():
        own = np.where(language == code, labels, -1)
        inside = _summed(holds, own, clusters)
        rows = np.bincount(own[own >= 0], minlength=clusters).astype(np.float32)[:, None]
        everywhere = holds[np.flatnonzero(language == code)].sum(axis=0)
        others = np.maximum(int((language == code).sum()) - rows, 1.0)
        expected += rows * (everywhere - inside) / others
    return expected


def _different(names: Iterable[str]) -> tuple[str, ...]:
    """The first `WORDS` that are not forms or pieces of one before."""
    found: list[str] = []
    for name in names:
        if not any(_are_alike(name, other) for other in found):
            found.append(name)
        if len(found) == WORDS:
            break
    return tuple(found)


def _are_alike(one: str, other: str) -> bool:
    """recipe and recipes; 人工 and 工智, which overlap in 人工智能."""
    if _IS_UNSPACED.match(one):
        return one[-1] == other[0] or one[0] == other[-1]
    short, long = sorted((one, other), key=len)
    return len(short) > _SHORTEST_WORD and long.startswith(short)
