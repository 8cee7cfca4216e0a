"""The map: its message, what comes back from the browser, and the drawing itself."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from studio.charts.colours import (
    STATUS_STYLES,
    MapGroup,
    Shade,
    colour_by_category,
    colour_by_score,
)
from studio.charts.map_chart import (
    MapEvent,
    MapName,
    describe_map,
    ensure_plotly,
    map_payload,
    pack_hover_texts,
    places_payload,
    read_event,
)
from tests.browser import ROOT, served

GROUPS = (
    MapGroup("one", Shade("#000000", "#ffffff")),
    MapGroup("two", Shade("#111111", "#eeeeee")),
)
XY = np.array([[0, 0], [1, 2], [3, 1]], np.float32)
CODES = np.array([0, 1, 1], np.uint8)


def unpack(payload: bytes) -> tuple[dict[str, Any], bytes]:
    (length,) = struct.unpack_from("<I", payload)
    return json.loads(payload[4 : 4 + length]), payload[4 + length :]


def drawn(points: object, kind: str = "polygon", version: str = "v") -> dict[str, Any]:
    return {"selection": {"version": version, "kind": kind, "points": points}}


def test_the_message_of_places_holds_the_arrays_in_order():
    header, body = unpack(places_payload(XY, name="m", hover_texts=b"a\nb\nc"))
    assert (header["name"], header["rows"], header["text"]) == ("m", 3, True)
    assert np.frombuffer(body, np.float32, 6).tolist() == [0, 1, 3, 0, 2, 1]
    assert body[24:] == b"a\nb\nc"


def test_the_message_of_colours_holds_what_is_marked_and_a_byte_a_row():
    header, body = unpack(map_payload(CODES, GROUPS, version="v", highlight=np.array([2])))
    assert header["counts"] == [1, 2]
    assert np.frombuffer(body, np.uint32, 1).tolist() == [2]
    assert body[4:] == bytes([0, 1, 1])


def test_names_go_along_the_largest_first_and_long_ones_are_cut():
    names = [MapName("small", 1, 2, 5), MapName("large " * 20, 0, 0, 9)]
    header, _ = unpack(map_payload(CODES, GROUPS, version="v", names=names))
    assert header["names"] == [[0, 0, "large " * 6 + "lar…"], [1, 2, "small"]]


def test_the_arrays_of_a_message_start_on_a_multiple_of_four():
    for version in ("", "v", "vv", "vvv"):
        payload = map_payload(CODES, GROUPS, version=version)
        assert (4 + struct.unpack_from("<I", payload)[0]) % 4 == 0


def test_other_places_are_another_message():
    one, other = (unpack(places_payload(xy, name="m"))[0] for xy in (XY, XY + 1))
    assert one["digest"] != other["digest"]


def test_a_change_of_colour_changes_the_header():
    before, _ = unpack(map_payload(CODES, GROUPS, version="v"))
    after, _ = unpack(map_payload(CODES[::-1].copy(), GROUPS, version="v"))
    assert before["digest"] != after["digest"]


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        (CODES.reshape(3, 1), r"codes must be \(n,\) uint8, got \(3, 1\)"),
        (CODES.astype(int), "uint8, got .* int64"),
        (np.array([0, 1, 2], np.uint8), "code 2 has no group: there are 2"),
    ],
)
def test_codes_that_do_not_fit_are_refused(codes, message):
    with pytest.raises(ValueError, match=message):
        map_payload(codes, GROUPS, version="v")


def test_places_that_are_no_pairs_are_refused():
    with pytest.raises(ValueError, match=r"xy must be \(n, 2\), got \(3, 3\)"):
        places_payload(np.zeros((3, 3), np.float32), name="m")


def test_a_highlight_outside_the_rows_is_refused():
    with pytest.raises(ValueError, match="the 3 rows drawn, got 3"):
        map_payload(CODES, GROUPS, version="v", highlight=np.array([3]))


def test_the_caption_counts_each_group_and_the_rows_without_a_place():
    assert describe_map(GROUPS, [1200, 0], unplaced=3) == (
        "Map of 1,200 rows: one 1,200. 3 rows have no place on the map."
    )


def test_hover_texts_are_one_short_line_each():
    assert pack_hover_texts(["a\nb  c", "x" * 99, ""], characters=5) == b"a b c\nxxxxx\n"


def test_nothing_drawn_is_an_empty_event():
    assert read_event({}, version="v", rows=3) == MapEvent()


def test_a_lasso_comes_back_as_an_array():
    event = read_event(drawn([[0, 0], [1, 0], [1, 1]]), version="v", rows=3)
    assert event.polygon is not None
    assert event.polygon.tolist() == [[0, 0], [1, 0], [1, 1]]
    assert event.has_outline


def test_a_box_comes_back_with_its_least_corner_first():
    event = read_event(drawn([[5, 1], [2, 1], [2, -3], [5, -3]], "box"), version="v", rows=3)
    assert event.box == (2, -3, 5, 1)
    assert event.polygon is None


NO_POLYGONS = (None, "x", [[1, 2]], [[1], [2], [3]], [[0, 0], [1, 1], ["a", 1]], {"x": 1})


@pytest.mark.parametrize("points", [*NO_POLYGONS, [[0, 0], [1, 1], [None, 1]]])
def test_an_outline_that_is_no_polygon_is_dropped(points):
    assert not read_event(drawn(points), version="v", rows=3).has_outline


def test_events_of_an_earlier_map_are_dropped():
    state = drawn([[0, 0], [1, 0], [1, 1]], version="old")
    state["clicked"] = {"version": "old", "row": 1}
    assert read_event(state, version="v", rows=3) == MapEvent()


@pytest.mark.parametrize(("row", "clicked"), [(2, 2), (3, None), (-1, None), ("1", None)])
def test_a_click_must_be_on_a_row(row, clicked):
    state = {"clicked": {"version": "v", "row": row}}
    assert read_event(state, version="v", rows=3).clicked == clicked


def test_rows_inside_a_box_include_its_edge_and_leave_out_hidden_groups():
    event = MapEvent(box=(0, 0, 1, 2), hidden=(1,))
    assert event.rows_inside(XY).tolist() == [0, 1]
    assert event.rows_inside(XY, CODES).tolist() == [0]


def test_rows_inside_a_lasso():
    pytest.importorskip("deita_core.map.outline")
    triangle = np.array([[0.5, 1], [4, 0.5], [1, 3]])
    assert MapEvent(polygon=triangle).rows_inside(XY).tolist() == [1, 2]


def test_no_outline_holds_no_rows():
    assert MapEvent().rows_inside(XY).tolist() == []


def test_scores_fall_into_ten_steps_and_missing_ones_apart():
    codes, groups = colour_by_score(np.array([1, 3.4, 6, np.nan, 9]), 1, 6)
    assert codes.tolist() == [0, 4, 9, 10, 9]
    assert [groups[i].label for i in (0, 9, 10)] == ["1.0 to 1.5", "5.5 to 6.0", "no score"]


@pytest.mark.parametrize("values", [[], [np.nan], [2.0, 2.0]])
def test_scores_without_a_spread_still_have_codes(values):
    codes, groups = colour_by_score(np.array(values, float))
    assert len(codes) == len(values)
    assert all(code < len(groups) for code in codes)


def test_the_commonest_categories_have_their_own_colour():
    codes, groups = colour_by_category(["b", "a", "b", None, "c"], most=2)
    assert [g.label for g in groups] == ["b", "a", "other"]
    assert codes.tolist() == [0, 1, 0, 2, 2]


def test_status_groups_have_the_codes_of_a_selection():
    from deita_core.selection import STATUSES

    assert [g.label for g in STATUS_STYLES] == [s.label for s in STATUSES]


def page_with_a_map() -> None:
    import numpy as np
    import streamlit as st

    from studio.charts.colours import STATUS_STYLES
    from studio.charts.map_chart import map_chart

    xy = np.array([[0, 0], [1, np.nan], [3, 1]], np.float32)
    event = map_chart(xy, np.zeros(3, np.uint8), STATUS_STYLES, key="map", version="v")
    st.text(str(event.has_outline))


def test_a_page_with_a_map_runs_and_says_what_is_not_on_it():
    app = AppTest.from_function(page_with_a_map, default_timeout=20).run()
    assert not app.exception
    assert app.caption[0].value == "1 of 3 rows have no place on the map yet."
    assert app.text[0].value == "False"


# ---- in a real browser

APP = """
import numpy as np, streamlit as st
from studio.charts.map_chart import MapName, clear_outline, map_chart, pack_hover_texts
from studio.charts.colours import STATUS_STYLES, colour_by_score
names = [MapName("<b>bread", 0, 0, 9), MapName("rivers", 0, 0.2, 5), MapName("tax", 1.5, 1, 2)]
r = np.random.default_rng(0)
xy = r.normal(size=(3000, 2)).astype(np.float32)
codes, groups = (np.arange(3000) % 3).astype(np.uint8), STATUS_STYLES
if st.toggle("scores"):
    codes, groups = colour_by_score(xy[:, 0])
st.button("forget", on_click=clear_outline, args=("map",))
version = "w" if st.toggle("other map") else "v"
if st.toggle("elsewhere"):
    st.stop()
event = map_chart(xy, codes, groups, key="map", version=version, height=400, names=names,
                  hover_texts=pack_hover_texts([f"<b>row {i}" for i in range(3000)]))
kind = "box" if event.box else "lasso" if event.polygon is not None else "none"
inside = len(event.rows_inside(xy, codes)) if event.box else 0
st.text(f"kind={kind} inside={inside} clicked={event.clicked} hidden={event.hidden}.")
"""


@pytest.fixture(scope="module")
def page(running: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    folder = tmp_path_factory.mktemp("map")
    (folder / "app.py").write_text(APP, encoding="utf-8")
    ensure_plotly(folder / "static")
    (folder / ".streamlit").symlink_to(ROOT / ".streamlit")
    with served("streamlit", "run", "app.py", port="--server.port", folder=folder) as address:
        view = running.new_page(viewport={"width": 1200, "height": 900})
        view.goto(address)
        view.wait_for_selector('[data-testid="deita-map"][data-ready="1"]', timeout=60_000)
        yield view
        view.close()


def centre(page: Any) -> tuple[float, float]:
    box = page.locator(".deita-map-plot").bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def drag(page: Any, points: list[tuple[float, float]]) -> None:
    x, y = centre(page)
    page.mouse.move(x + points[0][0], y + points[0][1])
    page.mouse.down()
    for dx, dy in points[1:]:
        page.mouse.move(x + dx, y + dy)
    page.mouse.up()


def circle(radius: float) -> list[tuple[float, float]]:
    turns = [i / 24 * 2 * math.pi for i in range(25)]
    return [(radius * math.cos(t), radius * math.sin(t)) for t in turns]


@pytest.mark.browser
def test_every_row_is_drawn(page):
    assert page.get_attribute('[data-testid="deita-map"]', "data-points") == "3000"


def names_shown(page: Any) -> list[str]:
    return page.locator(".deita-map-names span:visible").all_inner_texts()


@pytest.mark.browser
def test_names_that_would_cover_a_larger_one_wait_until_one_zooms_in(page):
    assert names_shown(page) == ["<b>bread", "tax"]
    boxes = [one.bounding_box() for one in page.locator(".deita-map-names span:visible").all()]
    assert abs(boxes[0]["x"] + boxes[0]["width"] / 2 - centre(page)[0]) < 60
    for _ in range(3):
        page.locator('[data-do="in"]').click()
    page.get_by_text("rivers", exact=True).wait_for(state="visible")
    assert names_shown(page)[:2] == ["<b>bread", "rivers"]
    page.locator('[data-do="fit"]').click()
    page.get_by_text("rivers", exact=True).wait_for(state="hidden")


@pytest.mark.browser
def test_a_lasso_reaches_the_page_and_outlives_new_colours(page):
    drag(page, circle(90))
    page.get_by_text("kind=lasso").wait_for()
    page.get_by_text("scores", exact=True).click()
    page.locator('.deita-map-legend [data-code="9"]').wait_for()
    page.locator('[data-testid="deita-map"][data-selected="polygon"]').wait_for()
    assert page.get_by_text("kind=lasso").is_visible()
    page.get_by_text("scores", exact=True).click()
    page.get_by_role("button", name="near-duplicate").wait_for()


@pytest.mark.browser
def test_the_outline_is_there_again_after_a_visit_elsewhere(page):
    page.get_by_text("elsewhere", exact=True).click()
    page.get_by_test_id("deita-map").wait_for(state="detached")
    page.get_by_text("elsewhere", exact=True).click()
    page.locator('[data-testid="deita-map"][data-selected="polygon"]').wait_for()
    page.get_by_text("kind=lasso").wait_for()


@pytest.mark.browser
def test_each_version_of_the_map_has_its_own_outline(page):
    page.get_by_text("other map", exact=True).click()
    page.locator('[data-testid="deita-map"][data-version="w"][data-selected=""]').wait_for()
    page.get_by_text("kind=none").wait_for()
    page.get_by_text("other map", exact=True).click()
    page.locator('[data-testid="deita-map"][data-version="v"][data-selected="polygon"]').wait_for()
    page.get_by_text("kind=lasso").wait_for()


@pytest.mark.browser
def test_the_outline_can_be_removed_from_python(page):
    page.get_by_role("button", name="forget").click()
    page.get_by_text("kind=none").wait_for()
    page.locator('[data-testid="deita-map"][data-selected=""]').wait_for()


@pytest.mark.browser
def test_hovering_shows_the_text_as_text_and_clicking_names_the_row(page):
    drag(page, [(0, 0), (1, 0)])
    page.mouse.move(*centre(page))
    page.locator(".deita-map-tip").wait_for()
    assert "<b>row " in page.inner_text(".deita-map-tip")
    page.mouse.down()
    page.mouse.up()
    page.get_by_text("clicked=").filter(has_not_text="clicked=None").wait_for()


@pytest.mark.browser
def test_what_is_shown_can_be_selected_without_a_mouse(page):
    page.get_by_role("button", name="Select what is shown").press("Enter")
    page.get_by_text("kind=box inside=3000").wait_for()
    page.get_by_role("button", name="below the cut").press("Enter")
    page.get_by_text("inside=2000").wait_for()
    page.get_by_text("hidden=(2,)").wait_for()
    page.get_by_role("button", name="Clear selection").press("Enter")
    page.get_by_text("kind=none").wait_for()
