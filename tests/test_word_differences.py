"""Two texts side by side: what differs is marked, and nothing in them is taken for markup."""

from __future__ import annotations

from studio.rows.conversation import MOST_WORDS, marked_differences, marked_run


def test_the_words_that_differ_are_marked_on_both_sides() -> None:
    left, right = marked_differences("bake the sourdough bread", "bake the rye bread")
    assert left == "bake the :orange-background[sourdough] bread"
    assert right == "bake the :orange-background[rye] bread"


def test_equal_texts_have_no_marks() -> None:
    left, right = marked_differences("one two\nthree", "one two\nthree")
    assert left == right == "one two\n\nthree"


def test_words_next_to_each_other_share_a_mark() -> None:
    left, _ = marked_differences("a b c d", "a d")
    assert left == "a :orange-background[b c] d"


def test_markup_in_a_text_stays_text() -> None:
    left, _ = marked_differences("![x](http://a.b) :red[y] <b>", "")
    assert "![" not in left
    assert ":red[" not in left
    assert "<b>" not in left


def test_long_texts_are_cut_and_say_so() -> None:
    left, _ = marked_differences("word " * (MOST_WORDS + 1), "word")
    assert left.endswith(f"*(only the first {MOST_WORDS:,} words are compared)*")


def test_a_run_of_words_is_marked_where_it_stands_whatever_its_signs_and_case() -> None:
    text = "Please say: The QUICK, brown\nfox! And more."
    assert marked_run(text, "the quick brown fox") == (
        "Please say: :orange-background[The QUICK, brown]\n\n:orange-background[fox\\!] And more\\."
    )


def test_a_run_that_is_not_there_marks_nothing() -> None:
    assert "orange" not in marked_run("the slow brown fox", "quick brown")
    assert "orange" not in marked_run("anything", "")


def test_only_the_surroundings_of_a_run_are_shown() -> None:
    text = " ".join(f"w{n}" for n in range(100))
    assert (
        marked_run(text, "w50 w51", around=2) == "… w48 w49 :orange-background[w50 w51] w52 w53 …"
    )
