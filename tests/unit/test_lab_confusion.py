"""The plot of confusion names what stands on its axes, and how much."""

from __future__ import annotations

from lxml import etree

from services.lab.confusion import confusion
from tests.lab_report import LABELS, made_up


def _texts(drawn: str) -> list[str]:
    """What is written, without what appears where the pointer rests."""
    texts = etree.fromstring(drawn.encode()).iter("{http://www.w3.org/2000/svg}text")
    return [(text.text or "") + "".join(child.tail or "" for child in text) for text in texts]


def test_both_axes_have_the_names_of_the_labels_the_long_ones_cut_and_whole_under_the_pointer() -> None:
    drawn = confusion(made_up())
    written = _texts(drawn)
    for label in LABELS:
        shown = label if len(label) < 30 else f"{label[:21]}\u2026"
        assert written.count(shown) == 2
        assert drawn.count("<title>" + label.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;") + "</title>") == 2


def test_squares_say_their_share() -> None:
    drawn = confusion(made_up())
    assert [text for text in _texts(drawn) if text.endswith("%")] == ["90%", "10%", *["100%"] * (len(LABELS) - 1)]
    assert "pay said as lose: 10.0%" in drawn


def test_of_many_labels_the_most_frequent_are_drawn_and_it_is_said_of_how_many() -> None:
    written = " ".join(_texts(confusion(made_up([f"label {number}" for number in range(45)]))))
    assert "the 30 most frequent of 45 labels" in written
    assert written.count("label ") == 60
