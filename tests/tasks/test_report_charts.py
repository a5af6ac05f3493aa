"""Values land where they belong, and axes are labelled with what they say."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.report_charts import Frame, Line, histogram_chart, interval_bar, line_chart, tick_text, ticks

FINITE = st.floats(-1e6, 1e6)


@given(FINITE, st.floats(1e-6, 1e6))
def test_ticks_are_few_round_and_within_the_span(low, width):
    found = ticks(low, low + width)
    assert 2 <= len(found) <= 8
    assert all(low - 1e-6 * width - 1e-9 <= tick <= low + width * (1 + 1e-6) + 1e-9 for tick in found)


@pytest.mark.parametrize(("value", "text"), [(0.00075, "7.5e-4"), (0.001, "0.001"), (0.0, "0"), (12.5, "12.5")])
def test_a_tick_says_its_value_exactly(value, text):
    assert tick_text(value) == text
    assert float(text) == pytest.approx(value)


def test_larger_values_lie_further_right_and_higher():
    frame = Frame((0, 10), (0, 1), "x", "y")
    assert frame.x(0) < frame.x(5) < frame.x(10)
    assert frame.y(1) < frame.y(0)  # SVG counts from the top


@given(st.lists(st.tuples(FINITE, FINITE), min_size=1, max_size=5))
def test_any_points_give_well_formed_svg(points):
    svg = line_chart("a < b & c", [Line("<name>", points, 3, marks=True)], x_label="x", y_label="y")
    root = ElementTree.fromstring(str(svg))
    assert root.attrib["aria-label"] == "a < b & c"
    assert len(root.findall("circle")) == len(points)


def test_bars_are_as_high_as_their_share_of_the_group():
    svg = histogram_chart("h", [0.0, 0.5, 1.0], [[3, 1], [0, 8]], ["label 0", "label 1"])
    heights = [float(bar.attrib["height"]) for bar in ElementTree.fromstring(str(svg)).findall("rect")]
    assert heights[3] == pytest.approx(max(heights))
    assert heights[0] == pytest.approx(0.75 * heights[3], abs=0.2)
    assert heights[2] == 0.0


def test_an_undefined_interval_draws_nothing():
    assert interval_bar(None, 0.5, None, (0, 1), "s0") == ""
