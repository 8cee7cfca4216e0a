"""Chains of a run: a list, and one of them with what each round changed, its ranks and failures."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd
import streamlit as st

from deita_core.errors import DeitaError
from deita_core.evolving.plan import part_of
from deita_core.evolving.ranking import agreement_of_passes
from deita_core.evolving.variant import Variant
from deita_core.project.evolutions import Evolution, eliminations
from deita_core.project.evolved_chains import (
    ChainFilter,
    ChainLine,
    ChainView,
    RankEdit,
    VariantScore,
    chain_lines,
    chain_view,
    correct_rank,
    count_chains,
    undo_correction,
)
from studio.rows.conversation import marked_differences, page_chosen
from studio.shell import state
from studio.shell.person import closed_to_role, reviewer_name, told
from studio.shell.resources import Opened
from studio.shell.text import escape, escape_badge, plural, safe_markdown

_PAGE = 50
_HEIGHT = 640
_ENDS = {"any": "All", "complete": "To the last round", "broken": "Ended early"}
_SCORES = (1, 2, 3, 4, 5, 6)


def chains_view(opened: Opened, run: Evolution) -> None:
    """Draw the list beside the chain that is open."""
    left, right = st.columns([2, 3], gap="medium")
    with left:
        which = _filter(opened, run)
        count = count_chains(opened.project, run.evolution, which)
        if not count:
            st.info(
                "No chain is like this: choose another filter."
                if which != ChainFilter()
                else "No chain is done yet.",
                icon=":material/filter_alt_off:",
            )
            return
        page = page_chosen(count, _PAGE, key="evolve_chains")
        lines = chain_lines(opened.project, run.evolution, which, limit=_PAGE, offset=page * _PAGE)
        chain = _open_chain(lines)
        _list(run, lines, chain, f"{run.evolution}-{which}-{page}")
        st.caption(f"{len(lines):,} of {plural(count, 'chain', 'chains')} here.")
    with right:
        _walk(lines, chain)
        try:
            view = chain_view(opened.project, run.evolution, chain)
        except DeitaError as error:
            st.error(escape(str(error)))
            return
        with st.container(height=_HEIGHT, border=False, autoscroll=False):
            _chain(opened, run, view)


def _filter(opened: Opened, run: Evolution) -> ChainFilter:
    """Which chains are listed."""
    reasons = sorted({one.reason for one in eliminations(opened.project, run.evolution)})
    one, two = st.columns(2)
    ends = one.selectbox("Chains", list(_ENDS), format_func=_ENDS.__getitem__, key="evolve_ends")
    if st.session_state.get("evolve_reason") not in (None, *reasons):
        del st.session_state["evolve_reason"]
    reason = two.selectbox(
        "With an attempt eliminated as",
        reasons,
        index=None,
        placeholder="any or none",
        key="evolve_reason",
        persist_state="session",
    )
    return ChainFilter(reason, {"complete": True, "broken": False}.get(str(ends)))


def _open_chain(lines: list[ChainLine]) -> int:
    """The chain that is open: of the address, or the first of the list."""
    if state.address_decides(state.CHAIN):
        asked = st.query_params.get(state.CHAIN, "")
        if asked and not asked.isdecimal():
            st.toast(f"The address asks for chain={escape(asked)}, which is no number.")
        st.session_state[state.CHAIN] = int(asked) if asked.isdecimal() else lines[0].chain
    chain = int(st.session_state[state.CHAIN])
    state.put_in_address(state.CHAIN, str(chain))
    return chain


def _list(run: Evolution, lines: list[ChainLine], chain: int, key: str) -> None:
    """The page of chains; a click opens one."""
    place = next((n for n, one in enumerate(lines) if one.chain == chain), None)
    key = f"evolve_list_{key}-{chain}"

    def opened() -> None:
        rows = st.session_state[key]["selection"]["rows"]
        if rows:
            st.session_state[state.CHAIN] = lines[rows[0]].chain

    st.dataframe(
        pd.DataFrame(
            {
                "chain": [one.chain for one in lines],
                "rounds": [
                    f"{one.last or 0} of {run.rounds}" if one.done else "not done" for one in lines
                ],
                "passes": [one.passes for one in lines],
                "eliminated": [", ".join(one.reasons) for one in lines],
                "seed": [one.preview for one in lines],
            }
        ),
        hide_index=True,
        height=_HEIGHT - 60,
        key=key,
        on_select=opened,
        selection_mode="single-row-required" if place is not None else "single-row",
        selection_default=None if place is None else {"selection": {"rows": [place]}},
        alt="Chains of the run",
    )


def _walk(lines: list[ChainLine], chain: int) -> None:
    """Buttons to the chains before and after, also by key."""
    numbers = [one.chain for one in lines]
    before = [one for one in numbers if one < chain]
    after = [one for one in numbers if one > chain]
    with st.container(horizontal=True, vertical_alignment="center"):
        for label, key, there in (
            ("Previous", "P", before[-1:]),
            ("Next", "N", after[:1]),
        ):
            st.button(
                label,
                key=f"evolve_{label}",
                shortcut=key,
                disabled=not there,
                on_click=st.session_state.update,
                args=({state.CHAIN: there[0] if there else chain},),
            )
        st.toggle(
            "Beside its parent",
            value=True,
            key="evolve_beside",
            persist_state="session",
            help="Each variant beside what it was made from, with the words marked that differ.",
        )


def _chain(opened: Opened, run: Evolution, view: ChainView) -> None:
    """The chain from its seed on."""
    line = view.line
    agreement = agreement_of_passes(view.rankings)
    said = [f"**Chain {line.chain}**", f"row {line.row:,}"]
    said.append(f"{line.kept} of {run.rounds} rounds" if line.done else "not done")
    if agreement.share is not None:
        said.append(f"passes agree on {agreement.share:.0%} of {agreement.pairs} pairs")
    st.markdown(" · ".join(said))
    for ranking in view.rankings:
        if ranking.reason:
            st.caption(f"Pass {ranking.draw + 1} gave no ranks: {escape(ranking.reason)}.")
    if not view.variants:
        st.info("Nothing was asked for this chain yet.", icon=":material/schedule:")
        return
    _seed(opened, run, view)
    parent = view.variants[0]
    for round_, attempts in _rounds(view.variants[1:]):
        parent = _round(opened, run, view, round_, attempts, parent)
    _edits(opened, view)


def _rounds(variants: tuple[Variant, ...]) -> Iterator[tuple[int, list[Variant]]]:
    for round_ in sorted({one.round for one in variants}):
        yield round_, [one for one in variants if one.round == round_]


def _seed(opened: Opened, run: Evolution, view: ChainView) -> None:
    seed = view.variants[0]
    with st.container(border=True):
        _heading(opened, run, view, seed, "Seed")
        if run.kind == "quality":
            st.caption("Instruction")
            st.markdown(safe_markdown(seed.instruction))
            st.caption("Response")
        st.markdown(safe_markdown(_text(seed, run) or "(none)"))
        if seed.eliminated:
            st.caption(f"It cannot evolve: {escape(seed.detail or seed.eliminated)}.")


def _round(
    opened: Opened,
    run: Evolution,
    view: ChainView,
    round_: int,
    attempts: list[Variant],
    parent: Variant,
) -> Variant:
    """A round: what was kept beside its parent, and attempts that were eliminated. Returns the
    parent of the next one."""
    kept = next((one for one in attempts if one.eliminated is None), None)
    with st.container(border=True):
        if kept is None:
            st.markdown(f"**Round {round_}** · the chain ends here")
        else:
            _heading(opened, run, view, kept, f"Round {round_}")
            _differences(_text(parent, run) or "", _text(kept, run) or "")
            if run.kind == "complexity" and kept.response is not None:
                with st.expander("Answer to it"):
                    st.markdown(safe_markdown(kept.response))
        for one in attempts:
            if one.eliminated is not None:
                _failure(run, one)
    return kept or parent


def _failure(run: Evolution, one: Variant) -> None:
    with st.expander(
        f"Eliminated: {one.eliminated} ({escape(one.method or '')})", icon=":material/block:"
    ):
        st.caption(f"{escape(one.detail or '')}.")
        text = _text(one, run)
        st.markdown(safe_markdown(text) if text else "*(nothing)*")


def _text(variant: Variant, run: Evolution) -> str | None:
    """The part that evolves."""
    part = part_of("quality" if run.kind == "quality" else "complexity")
    return variant.instruction if part == "instruction" else variant.response


def _differences(before: str, after: str) -> None:
    left, right = marked_differences(before, after)
    if not st.session_state.get("evolve_beside", True):
        st.markdown(right)
        return
    one, two = st.columns(2, gap="small")
    one.caption("Parent")
    one.markdown(left)
    two.caption("Variant")
    two.markdown(right)


# ranks


def _heading(opened: Opened, run: Evolution, view: ChainView, variant: Variant, title: str) -> None:
    """Round, method, rank and how it came about; a popover corrects it."""
    found = view.scores.get(variant.round) if variant.eliminated is None else None
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(f"**{title}**")
        if variant.method is not None:
            st.badge(escape_badge(variant.method), color="gray")
        if found is None:
            return
        if found.score is not None:
            st.badge(f"rank {found.score:g}", color="primary")
        st.caption(_origin(found), width="stretch")
        with st.popover("Correct", icon=":material/edit:", type="tertiary"):
            _correction(opened, run, view, variant.round, found)


def _origin(found: VariantScore) -> str:
    """Where the rank is from."""
    if found.hand is not None:
        before = "no rank" if found.hand.before is None else f"{found.hand.before:g}"
        return f"by {escape(found.hand.author)}, instead of {before}"
    if found.mean is not None:
        return f"passes differ by {found.spread:g}" if found.spread else ""
    return "asked alone" if found.direct is not None else "not ranked"


def _correction(
    opened: Opened, run: Evolution, view: ChainView, round_: int, found: VariantScore
) -> None:
    if closed_to_role("reviewer", "Correcting ranks"):
        return
    key = f"evolve_rank_{run.evolution}_{view.line.chain}_{round_}"
    standing = found.hand.score if found.hand else None

    def save(score: float | None) -> None:
        why = str(st.session_state.get(f"{key}_why") or "")
        told(correct_rank)(
            opened.project,
            run.evolution,
            view.line.chain,
            round_,
            score,
            why=why,
            author=reviewer_name(),
        )

    st.text_input("Why", key=f"{key}_why", placeholder="kept with the correction")
    with st.container(horizontal=True, gap="xsmall"):
        for score in _SCORES:
            st.button(
                str(score),
                key=f"{key}_{score}",
                disabled=standing == score,
                on_click=save,
                args=(float(score),),
            )
    if standing is not None:
        st.button("Take it back", key=f"{key}_back", on_click=save, args=(None,))


def _edits(opened: Opened, view: ChainView) -> None:
    """Corrections by hand, newest first; the one that stands in each round can be undone."""
    if not view.edits:
        return
    latest: dict[int, int] = {}
    for edit in view.edits:
        latest.setdefault(edit.round, edit.number)
    with st.expander(plural(len(view.edits), "correction", "corrections"), icon=":material/edit:"):
        for edit in view.edits:
            with st.container(horizontal=True, vertical_alignment="center"):
                st.caption(_edit_said(edit), width="stretch")
                if latest[edit.round] == edit.number:
                    st.button(
                        "Undo",
                        key=f"evolve_undo_{edit.number}",
                        type="tertiary",
                        icon=":material/undo:",
                        on_click=told(undo_correction),
                        args=(opened.project, edit.number),
                        kwargs={"author": reviewer_name()},
                    )


def _edit_said(edit: RankEdit) -> str:
    round_ = "the seed" if edit.round == 0 else f"round {edit.round}"
    given = f"took back the rank of {round_}"
    if edit.score is not None:
        given = f"gave {round_} {edit.score:g}"
    before = "" if edit.before is None else f", before {edit.before:g}"
    why = f": {edit.why}" if edit.why else ""
    return escape(f"{edit.made:%Y-%m-%d %H:%M} UTC, {edit.author} {given}{before}{why}")
