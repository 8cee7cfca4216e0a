"""The file of prompts: ours is whole, a user's is checked, and texts of the pool change nothing."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from deita_core.errors import EvolvingError
from deita_core.evolving.plan import EvolvePlan
from deita_core.evolving.prompts import OUR_PROMPTS, load_prompts, our_prompts, read_prompts

OURS = OUR_PROMPTS.read_text(encoding="utf-8")


def test_our_prompts_have_the_methods_of_the_papers_each_with_its_source():
    evolve = our_prompts().file.evolve
    assert list(evolve.complexity.methods) == [
        "constraints",
        "deepen",
        "concretise",
        "reasoning",
        "breadth",
    ]
    assert list(evolve.quality.methods) == [
        "helpfulness",
        "relevance",
        "depth",
        "creativity",
        "detail",
    ]
    papers = re.findall(r'^source = "(.*)"$', OURS, re.MULTILINE)
    assert len(papers) == 19
    assert all("arXiv" in paper for paper in papers if paper != "Deita Studio")


def test_each_label_stands_in_a_prompt_of_ours():
    frames = our_prompts().file.evolve
    for label in tomllib.loads(OURS)["labels"]:
        assert label in frames.complexity.user + frames.quality.user


def test_the_version_is_the_declared_one_and_a_hash_of_the_content():
    version = our_prompts().version
    assert re.fullmatch(r"studio-1\+[0-9a-f]{8}", version)
    changed = read_prompts(OURS.replace("Some twenty words", "Some thirty words"))
    assert changed.version != version
    assert read_prompts(OURS).version == version


def test_a_name_in_a_text_of_the_pool_stays_as_it_is():
    said = our_prompts().evolve("quality", "depth", "Explain {response} and {task}.", "It {is}.")
    assert "Explain {response} and {task}." in said[1][1]
    assert said[0][0] == "system"


def test_an_empty_system_message_is_not_sent():
    prompts = read_prompts(re.sub(r'system = "You label.*"', 'system = ""', OURS))
    assert [speaker for speaker, _ in prompts.tags("Count to ten.")] == ["user"]


def test_a_users_file_takes_the_place_of_ours(tmp_path: Path):
    own = tmp_path / "own.toml"
    own.write_text(
        OURS.replace('"studio-1"', '"mine"').replace("methods.deepen", "methods.dig"), "utf-8"
    )
    prompts = load_prompts(own)
    assert prompts.version.startswith("mine+")
    assert "dig" in prompts.methods(EvolvePlan(kind="complexity"))
    assert load_prompts() is our_prompts()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("{task}", "", r"own.toml, evolve.complexity.user: \{task\} has to stand in it"),
        ("{variants}", "{texts}", r"rank.complexity.user: \{variants\} has to stand in it"),
        (
            "Take the instruction below",
            "{depth}",
            r"nodes.user: nothing is known for \{depth",
        ),
        ("You label", "You {label}", r"tags.system: \{label\} stands for nothing here"),
        ("Make the response more useful", "{how}", r"methods.helpfulness.task: \{how\} stands"),
        ("[tags]", "[tag]", "own.toml, tags: field required"),
        ("[nodes]", "[nodes]\nspeed = 1", "own.toml, nodes.speed: extra inputs"),
        ('source = "InsTag', 'origin = "InsTag', "own.toml, tags.source: field required"),
        ("methods.deepen]", 'methods."Dig in!"]', "evolve.complexity.methods.Dig in!"),
        ('version = "studio-1"', "version = 1", "own.toml, version"),
        ("[repair]", "[repair", "own.toml is no TOML"),
    ],
)
def test_a_file_that_cannot_be_used_says_where_and_what(old: str, new: str, said: str):
    assert old in OURS
    with pytest.raises(EvolvingError, match=said):
        read_prompts(OURS.replace(old, new, 1), "own.toml")


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path):
    with pytest.raises(EvolvingError, match=r"gone\.toml cannot be read"):
        load_prompts(tmp_path / "gone.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(EvolvingError, match=r"text file in UTF-8"):
        load_prompts(tmp_path / "binary.toml")
    with pytest.raises(EvolvingError, match="300,000 characters, at most 200,000"):
        read_prompts("#" * 300_000)


def test_prompts_where_every_method_leads_away_need_breadth():
    text = re.sub(r"\[evolve.complexity.methods.(?!breadth)\w+\]\n.*\n.*\n", "", OURS)
    prompts = read_prompts(text)
    with pytest.raises(EvolvingError, match="allow breadth"):
        prompts.methods(EvolvePlan(kind="complexity"))
    assert prompts.methods(EvolvePlan(kind="complexity", breadth=True)) == ("breadth",)
