"""A new run: which seeds, how they evolve and are ranked, which model, and what it may cost."""

from __future__ import annotations

from typing import Any, Literal, cast

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from deita_core.errors import DeitaError, EvolvingError
from deita_core.evolving.plan import KINDS, MOST_ROUNDS, EvolvePlan, Kind, RankPlan
from deita_core.evolving.prompts import Prompts, our_prompts, read_prompts
from deita_core.jobs.evolve_seeds import ChosenSeeds, SeedChoice, chosen_seeds
from deita_core.jobs.kinds import EvolveSpec
from deita_core.jobs.kinds.evolve import PILOT
from deita_core.models.options import ModelOptions
from deita_core.models.spending import SpendingLimit
from deita_core.project.browse import table_of
from studio.charts.colours import greyed
from studio.evolve.runs import follow, known_runs
from studio.explore.colouring import colouring
from studio.filters.bar import filter_chips
from studio.score.allowed import endpoint_named, key_variable_named, model_named
from studio.shell.jobs_panel import active_job
from studio.shell.person import closed_to_role, told
from studio.shell.resources import Opened, errors_shown, info, pool_map
from studio.shell.text import escape, plural

_SEEDS_LISTED = 100
_BY = {"spread": "Spread over clusters", "random": "Random", "ids": "By id"}
_GROWS = {"complexity": "Complexity: instructions", "quality": "Quality: responses"}
_RANKING = {"together": "Together", "direct": "One at a time", "none": "Not at all"}
_PLACES = {"endpoint": "Endpoint", "local": "On this machine"}


def new_run(opened: Opened) -> None:
    """Draw the form; nothing is asked of a model before a button says so."""
    st.caption(
        "A chat model makes seeds harder, or their responses better, in rounds; the ranks of the "
        "variants train a scorer of your own."
    )
    if active_job(opened, EvolveSpec.kind) or closed_to_role("curator", "Evolving"):
        return
    left, right = st.columns(2, gap="medium")
    with left, errors_shown():
        plan, rank, prompts = _how()
        choice = _which(opened)
        chosen = _seeds(opened, choice, plan)
        with right:
            _seeds_shown(opened, chosen)
        _start(opened, plan, rank, choice, prompts)


def _how() -> tuple[EvolvePlan, RankPlan | None, str | None]:
    """Kind, rounds, methods and ranking; also the text of the user's prompts."""
    with st.container(border=True):
        kind = cast(
            "Kind",
            st.segmented_control(
                "What grows",
                list(KINDS),
                default=KINDS[0],
                required=True,
                format_func=_GROWS.__getitem__,
                key="evolve_kind",
                persist_state="session",
                label_visibility="collapsed",
            ),
        )
        one, two, three = st.columns(3)
        rounds = one.slider("Rounds", 1, MOST_ROUNDS, MOST_ROUNDS, key="evolve_rounds")
        ranking = two.selectbox(
            "Ranked",
            list(_RANKING),
            format_func=_RANKING.__getitem__,
            key="evolve_ranking",
            help="Together gives finer scores, which is the point of the paper's method. One at a "
            "time is its baseline.",
        )
        passes = three.number_input(
            "Passes",
            1,
            10,
            1,
            key="evolve_passes",
            disabled=ranking == "none",
            help="Each in another order; more of them show how well the model agrees with itself.",
        )
        with st.expander("Methods, lengths, prompts", icon=":material/tune:"):
            prompts, text = _prompts()
            given = _details(kind, prompts)
    plan = EvolvePlan(kind=kind, rounds=rounds, **given)
    prompts.methods(plan)  # names that the prompts do not have are said here
    if ranking == "none":
        return plan, None, text
    return plan, RankPlan(passes=int(passes), direct=ranking == "direct", seed=plan.seed), text


def _prompts() -> tuple[Prompts, str | None]:
    """The prompts that hold, and their text where they are the user's."""
    file = st.file_uploader(
        "Prompts of your own (TOML)",
        type="toml",
        key="evolve_prompts",
        help="The layout is in docs/evolving.md; without a file, the app's own are used.",
    )
    if file is None:
        return our_prompts(), None
    try:
        text = file.getvalue().decode("utf-8")
    except UnicodeDecodeError as error:
        raise EvolvingError(f"{file.name} is not UTF-8 text: {error}") from error
    return read_prompts(text, file.name), text


def _details(kind: Kind, prompts: Prompts) -> dict[str, Any]:
    every = prompts.methods(EvolvePlan(kind=kind, breadth=kind == "complexity"))
    usual = prompts.methods(EvolvePlan(kind=kind))
    methods = st.multiselect(
        "Methods drawn",
        every,
        default=usual,
        key=f"evolve_methods_{kind}_{prompts.version}",
        help="One is drawn for each round, by the seed. Breadth leads to another instruction.",
    )
    one, two, three = st.columns(3)
    given: dict[str, Any] = {
        "methods": tuple(methods),
        "breadth": any(method not in usual for method in methods),
        "most_tokens": one.number_input("Longest, in tokens", 16, 32_768, 1024, step=64,
                                        key="evolve_longest"),
        "temperature": two.number_input("Temperature", 0.0, 2.0, 1.0, step=0.1,
                                        key="evolve_temperature"),
        "seed": three.number_input("Seed of the draws", 0, 1_000_000, 0, key="evolve_seed"),
    }  # fmt: skip
    if kind == "complexity":
        given["answer_instructions"] = st.checkbox(
            "Answer evolved instructions, so that they make whole rows",
            key="evolve_answer",
            help="One more request for each variant that is kept.",
        )
    return given


def _which(opened: Opened) -> SeedChoice:
    """Which rows seeds are taken from."""
    with st.container(border=True):
        one, two = st.columns([2, 1])
        by = one.segmented_control(
            "Seeds",
            list(_BY),
            default="spread",
            required=True,
            format_func=_BY.__getitem__,
            key="evolve_by",
            persist_state="session",
            help="Of the rows that pass the filter below, which is that of Explore.",
        )
        size = two.number_input("How many", 1, 1_000_000, 200, key="evolve_size")
        ids: tuple[str, ...] = ()
        text = ""
        if by == "ids":
            given = st.text_area("Ids of rows, one a line", key="evolve_ids", height=100)
            ids = tuple(line.strip() for line in (given or "").splitlines() if line.strip())
            if not ids:
                raise EvolvingError("no id is given: paste the ids of the rows to start from")
        else:
            text = filter_chips(opened).to_text()
    how = cast("Literal['spread', 'random']", "random" if by == "random" else "spread")
    seed = int(st.session_state.get("evolve_seed", 0))
    return SeedChoice(by=how, size=int(size), filter=text, ids=ids, seed=seed)


@st.cache_data(show_spinner="Choosing seeds", max_entries=8, ttl=60)
def _chosen(key: str, version: int, _opened: Opened, choice: str, plan: str) -> ChosenSeeds:
    return chosen_seeds(
        _opened.project,
        SeedChoice.model_validate_json(choice),
        EvolvePlan.model_validate_json(plan),
    )


def _seeds(opened: Opened, choice: SeedChoice, plan: EvolvePlan) -> ChosenSeeds:
    version = opened.project.data_version()
    asked = choice.model_dump_json(), plan.model_dump_json()
    return _chosen(opened.key, version, opened, *asked)


def _seeds_shown(opened: Opened, chosen: ChosenSeeds) -> None:
    """The seeds on the map, and what they say."""
    rows: NDArray[np.int64] = np.array([row for row, _ in chosen.seeds], np.int64)
    unfit = sum(chosen.unfit.values())
    said = f"**{plural(len(rows), 'seed', 'seeds')}**"
    if unfit:
        why = "; ".join(f"{count:,}: {reason}" for reason, count in chosen.unfit.items())
        said += f" · {unfit:,} rows passed over ({escape(why)})"
    st.markdown(said)
    found = info(opened)
    if found.mapped:
        mask = np.zeros(found.imported, np.bool_)
        mask[rows] = True
        pool_map(opened, greyed(colouring(opened, "cluster"), mask), key="evolve_map", height=340)
    else:
        st.caption("The pool has no map yet: embed it on the Score page to see where seeds lie.")
    st.dataframe(
        table_of(opened.project, rows[:_SEEDS_LISTED].tolist()),
        column_order=("row", "preview"),
        hide_index=True,
        height=150 if found.mapped else 560,
        alt="The first seeds",
        column_config={
            "row": st.column_config.NumberColumn("row", width=70),
            "preview": st.column_config.TextColumn("text"),
        },
    )


def _start(
    opened: Opened,
    plan: EvolvePlan,
    rank: RankPlan | None,
    choice: SeedChoice,
    prompts: str | None,
) -> None:
    """The model, the limit, and the buttons."""
    with st.container(border=True):
        chat, options, problem = _model()
        batch = not chat.startswith("local:") and st.checkbox(
            "By the endpoint's batch interface: half the price, within a day",
            key="evolve_batch",
            help="Where the endpoint has OpenAI's batch interface. The job can be cancelled and "
            "resumed later: what was sent is collected then.",
        )
        limit = _limit()
        taken = {one.name for one in known_runs(opened)}
        usual = next(
            name
            for name in (plan.kind, *(f"{plan.kind} {n}" for n in range(2, 10_000)))
            if name not in taken
        )
        with st.container(horizontal=True, vertical_alignment="bottom"):
            name = st.text_input("Name of the run", value=usual, key=f"evolve_name_{usual}")
            blocked = not chat or bool(problem) or opened.runner.busy
            asked = [
                (first, label, kind, icon)
                for first, label, kind, icon in (
                    (PILOT, f"Try {PILOT} seeds first", "primary", "science"),
                    (None, "Run all", "secondary", "play_arrow"),
                )
                if first is None or choice.size > first
            ]
            for first, label, kind, icon in asked:
                pressed = st.button(
                    label,
                    type=cast("Literal['primary', 'secondary']", kind),
                    icon=f":material/{icon}:",
                    disabled=blocked,
                    help="Says what the rest takes and costs. What it makes is kept."
                    if first
                    else None,
                )
                if pressed:
                    spec = EvolveSpec(
                        name=(name or usual).strip(),
                        plan=plan,
                        rank=rank,
                        seeds=choice,
                        chat=chat,
                        options=options,
                        limit=limit,
                        prompts=prompts,
                        batch=batch,
                        first=first,
                    )
                    told(_submit)(opened, spec)
                    st.rerun()
        if problem:
            st.error(escape(problem))
        elif not chat:
            _without_model()


def _submit(opened: Opened, spec: EvolveSpec) -> None:
    opened.runner.submit([spec])
    follow(spec.name)


def _without_model() -> None:
    st.caption(
        "Evolving needs a chat model: any OpenAI-compatible server (vLLM, llama.cpp, Ollama, a "
        "provider) or a model in a folder. Without one, scorers can be trained on labels of your "
        "own and on reviews: see the page Train."
    )


def _model() -> tuple[str, ModelOptions, str]:
    """The name of the chat model, "" while something is missing; its options; what is wrong."""
    place = st.segmented_control(
        "Model",
        list(_PLACES),
        default="endpoint",
        required=True,
        format_func=_PLACES.__getitem__,
        key="evolve_place",
        persist_state="session",
        label_visibility="collapsed",
    )
    try:
        if place == "local":
            text = _text("Folder", "evolve_folder", "owner/name, or a folder below data/models")
            return (f"local:{model_named(text)}" if text else ""), ModelOptions(), ""
        one, two, three = st.columns(3)
        with one:
            url = _text("Address", "evolve_url", "http://localhost:8000/v1")
        with two:
            model = _text("Model there", "evolve_served", "its name on that server")
        with three:
            variable = _text("Variable with the key", "evolve_key", "DEITA_ENDPOINT_KEY")
        address = endpoint_named(url) if url else ""
        options = ModelOptions(key_variable=key_variable_named(variable))
        return (f"{model}@{address}" if address and model else ""), options, ""
    except DeitaError as error:
        return "", ModelOptions(), str(error)


def _text(label: str, key: str, example: str) -> str:
    value = st.text_input(label, placeholder=example, key=key, persist_state="session")
    return (value or "").strip()


def _limit() -> SpendingLimit:
    columns = st.columns(4)
    fields = (
        ("most_tokens", "Most tokens", 10_000, "The run stops before it goes over."),
        ("most_money", "Most money", 1.0, "Needs both prices."),
        ("price_in", "Price in", 0.1, "Of a million tokens of the questions, in any currency."),
        ("price_out", "Price out", 0.1, "Of a million tokens of the answers."),
    )
    given: dict[str, Any] = {}
    for place, (name, label, step, help) in zip(columns, fields, strict=True):
        given[name] = place.number_input(
            label,
            min_value=type(step)(0),
            value=None,
            step=step,
            placeholder="none",
            key=f"evolve_{name}",
            persist_state="session",
            help=help,
        )
        if not given[name] and not name.startswith("price"):
            given[name] = None
    return SpendingLimit.model_validate(given)
