"""A rule over time as a picture and as a page: what stands where, and that the page needs nothing but itself."""

import json
import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.test_trial import MS, START, log, merged, refused, rules  # noqa: F401
from zuluko.actions.acts import Act
from zuluko.actions.comparison import comparisons
from zuluko.actions.timeline import Timeline
from zuluko.actions.timeline_html import LEFT, POINTS, WIDTH, html, thinned
from zuluko.actions.timeline_png import DrawingError, png
from zuluko.actions.trails import Trail
from zuluko.cli import rules as command
from zuluko.messages import Clause, Decision

LUX = "light.lux < dark || light.lux > 60.0"


def clock(at: int) -> str:
    return f"{(at - START) / 1e9:g} s"


def decided(at: int, lux: float | None, outcome: str = "", dark: float = 40.0) -> Trail:
    """A decision at so many ms; without a value there was nothing to look at."""
    now, clauses, reason = START + at * MS, tuple[Clause, ...](), "light <is> empty"
    if lux is not None:
        verdict = "true" if lux < dark or lux > 60 else "false"
        outcome = outcome or ("held" if verdict == "true" else "false")
        values, reason = {"light.lux": lux, "dark": dark}, f"clause `{LUX}` is {verdict}"
        clauses = (
            Clause(text=LUX, verdict=verdict, values=values),
            Clause(text='lamp.state == "off"', verdict="unknown"),
        )
    decision = Decision(rule="night", outcome=outcome or "false", reason=reason, stamp=now, clauses=clauses)
    return Trail("rules", at, now, decision)


def line(*trails: Trail, start: int = 0, end: int = 1000) -> Timeline:
    made = Timeline("night", "a.mcap", START, START + start * MS, START + end * MS)
    for trail in trails:
        made.hear(trail)
    made.close([Act(trail) for trail in trails if trail.fired])
    return made


def spans(bar) -> list[tuple[str, int, int, int]]:
    return [
        (one.kind, (one.start - START) // MS, (one.end - START) // MS, one.count) for one in bar.stretches
    ]


@pytest.mark.parametrize(
    ("text", "values", "found"),
    [
        ("light.lux < 40.0", {"light.lux": 41.0}, [("light.lux", "<", "40.0", 41.0, 40.0)]),
        ("40.0 > light.lux", {"light.lux": 39.0}, [("light.lux", "<", "40.0", 39.0, 40.0)]),
        ("(a.x > 1 && a.y <= b)", {"a.x": 2, "a.y": 1.0, "b": 3.0}, [("a.x", ">", "1", 2, 1), ("a.y", "<=", "b", 1.0, 3.0)]),
        ("size(a.items) > 2", {"a.items": "5 items"}, [("size(a.items)", ">", "2", 5, 2)]),
        ('mean(a.x, "2s") > 1.5', {'mean(a.x, "2s")': 2.0}, [('mean(a.x, "2s")', ">", "1.5", 2.0, 1.5)]),
        ("2.0 * age(lock) < 3.0", {"age(lock)": 1.0}, [("2.0 * age(lock)", "<", "3.0", 2.0, 3.0)]),
        ("max(a.x, b) < 1.0", {"a.x": 2.0, "b": 3.0}, []),
        ('a.name == "ana"', {"a.name": "ana"}, []),
        ("a.x > 1.0 ? true : false", {"a.x": 2.0}, []),
        ("a.x > 1.0", {}, []),
        ("a.on", {"a.on": True}, []),
    ],
)  # fmt: skip
def test_comparisons_are_told_whether_true_or_false(text, values, found):
    assert [tuple(one) for one in comparisons(text, values)] == found


def test_alike_evaluations_are_one_stretch_and_a_firing_is_its_own():
    made = line(
        decided(0, 50.0),
        decided(100, 51.0),
        decided(200, 30.0),
        decided(300, 30.0, "fired"),
        decided(400, 30.0, "fired"),
        decided(500, 70.0),
    )
    assert spans(made.outcomes) == [
        ("false", 0, 200, 2),
        ("held", 200, 300, 1),
        ("fired", 300, 400, 1),
        ("fired", 400, 500, 1),
        ("held", 500, 1000, 1),
    ]
    assert spans(made.clauses[0]) == [("false", 0, 200, 2), ("true", 200, 1000, 4)]
    assert spans(made.clauses[1]) == [("unknown", 0, 1000, 6)]
    assert [act.at for act in made.acts] == [START + 300 * MS, START + 400 * MS]
    assert made.title == "night fired 2 times in 1.0 s of a.mcap"


def test_where_nothing_was_looked_at_there_is_a_gap():
    made = line(
        decided(0, 30.0), decided(100, None), decided(200, None), decided(300, 30.0), decided(400, 30.0)
    )
    assert spans(made.outcomes) == [("held", 0, 100, 1), ("false", 100, 300, 2), ("held", 300, 1000, 2)]
    assert spans(made.clauses[0]) == [("true", 0, 100, 1), ("true", 300, 1000, 2)]
    (curve,) = made.curves.values()
    times = [(at - START) // MS for at, value in curve.points if value == value]
    breaks = [(at - START) // MS for at, value in curve.points if value != value]
    assert (times, breaks) == ([0, 300, 400], [300])


def test_an_evaluation_speaks_for_three_seconds_or_three_intervals():
    assert spans(line(decided(0, 30.0), decided(9000, 30.0), end=10_000).outcomes) == [
        ("held", 0, 3000, 1),
        ("held", 9000, 10_000, 1),
    ]
    slow = line(*(decided(10_000 * n, 30.0) for n in range(4)), end=90_000)
    assert spans(slow.outcomes) == [("held", 0, 3000, 1), ("held", 10_000, 60_000, 3)]


def test_a_part_is_only_that_part():
    made = line(*(decided(100 * n, 30.0) for n in range(10)), start=250, end=550)
    assert (made.evaluations, spans(made.outcomes)) == (3, [("held", 300, 550, 3)])


def test_limits_bear_their_values_while_they_are_the_same():
    (curve,) = line(decided(0, 30.0), decided(100, 50.0)).curves.values()
    assert [text for text, _ in curve.told_limits()] == ["< dark = 40", "> 60.0"]
    (curve,) = line(decided(0, 30.0), decided(100, 50.0, dark=45.0)).curves.values()
    assert [text for text, _ in curve.told_limits()] == ["< dark", "> 60.0"]


def test_a_number_that_is_nothing_measured_breaks_the_curve():
    wild = (-1e308, float("inf"), float("nan"))
    made = line(decided(0, 30.0), *(decided(100 + n, lux) for n, lux in enumerate(wild)), decided(300, 50.0))
    (curve,) = made.curves.values()
    assert [value for _, value in curve.points if value == value] == [30.0, 50.0]
    assert len(curve.points) == 5
    assert png(made).startswith(b"\x89PNG")
    Page(html(made, clock))


class Page(HTMLParser):
    """What a page refers to, and whether its elements are closed as they were opened."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.refers: list[tuple[str, str]] = []
        self.tags: set[str] = set()
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.refers += [
            (name, value) for name, value in attrs if name in ("src", "href", "xlink:href", "style")
        ]
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def drawn(page: str) -> ET.Element:
    return ET.fromstring(page[page.index("<svg") : page.index("</svg>") + 6])


def rects(svg: ET.Element, kind: str) -> list[tuple[float, float, str]]:
    """From where to where, as parts of the whole, and what is said there."""
    found = []
    for one in svg.iter("{http://www.w3.org/2000/svg}rect"):
        if one.get("class") == kind and float(one.get("y")) > 20:  # above stands the legend
            x, width = float(one.get("x")), float(one.get("width"))
            title = one.find("{http://www.w3.org/2000/svg}title")
            found.append(
                (
                    (x - LEFT) / WIDTH,
                    (x + width - LEFT) / WIDTH,
                    (title.text or "") if title is not None else "",
                )
            )
    return found


def test_the_page_shows_each_bar_where_it_was_and_says_why():
    page = html(
        line(decided(0, 50.0), decided(250, 30.0), decided(500, 30.0, "fired"), decided(750, None)), clock
    )
    svg = drawn(page)
    ((start, end, why),) = rects(svg, "held")
    assert (start, end) == (pytest.approx(0.25, abs=0.01), pytest.approx(0.5, abs=0.01))
    assert why.startswith("held from 0.25 s for 0.25 s: ")
    first, last = rects(svg, "false")[0], rects(svg, "false")[1]
    assert (
        "light.lux 50 is above dark 40 (over by 10), and light.lux 50 is below 60 (short by 10)" in first[2]
    )
    assert "light <is> empty" in last[2]
    (mark,) = [
        one for one in svg.iter("{http://www.w3.org/2000/svg}line") if one.get("class") == "mark-fired"
    ]
    assert (float(mark.get("x1")) - LEFT) / WIDTH == pytest.approx(0.5, abs=0.01)
    assert len([one for one in svg.iter() if one.get("class") == "point"]) == 3
    assert "light &lt;is&gt; empty" in page


def test_the_page_stands_alone():
    page = html(line(decided(0, 50.0), decided(500, 30.0, "fired")), clock)
    found = Page(page)
    assert found.refers == []
    assert not found.tags & {"script", "link", "img", "iframe", "object"}
    assert set(re.findall(r"\w+://[^\"'<> ]*", page)) == {"http://www.w3.org/2000/svg"}
    assert "default-src 'none'" in page
    assert "url(" not in page
    assert "@import" not in page


def test_a_name_from_anywhere_is_text():
    made = line(decided(0, 50.0))
    made.log = made.rule = '<script>alert("1")</script>'
    assert "<script" not in html(made, clock)
    Page(html(made, clock))


def test_a_long_log_makes_no_large_page():
    trails = [decided(n * 10, 30.0 + n % 3 * 15, "held" if n % 2 else "false") for n in range(5000)]
    page = html(line(*trails, end=50_000), clock)
    assert len(page) < 2_000_000
    spiky = [(n, 1.0) for n in range(100_000)]
    spiky[77_777] = (77_777, 99.0)
    spiky[33_333] = (33_333, -99.0)
    few = thinned(spiky, POINTS)
    assert len(few) <= POINTS + 4
    assert {(77_777, 99.0), (33_333, -99.0)} <= set(few)
    assert few == sorted(few)


def test_the_picture_has_its_colours_where_they_belong():
    made = line(decided(0, 50.0), decided(250, 30.0), decided(500, 30.0, "fired"), decided(750, 50.0))
    picture = cv2.imdecode(np.frombuffer(png(made), np.uint8), cv2.IMREAD_COLOR)
    height, width, _ = picture.shape
    assert (width, height > 250) == (1320, True)

    def columns(colour: str) -> tuple[int, int]:
        """From where to where something of that colour is, below the legend."""
        bgr = np.array([int(colour[at : at + 2], 16) for at in (5, 3, 1)])
        near = (np.abs(picture[45:].astype(int) - bgr) < 12).all(axis=2).sum(axis=0) > 8
        found = np.flatnonzero(near)
        return int(found[0]), int(found[-1])

    left, right = columns("#f3c1bd")  # false, at the beginning and at the end
    held = columns("#80b8f5")
    assert (held[0] - left) / (right - left) == pytest.approx(0.25, abs=0.02)
    assert (held[1] - left) / (right - left) == pytest.approx(0.5, abs=0.02)


def test_without_matplotlib_a_picture_is_a_sentence(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    with pytest.raises(DrawingError, match=r"pip install 'zuluko\[plot\]', or write a page"):
        png(line(decided(0, 50.0)))


def test_a_rule_is_drawn_over_a_log(rules, log, tmp_path, monkeypatch, capsys):  # noqa: F811
    monkeypatch.chdir(tmp_path)
    command.plot("hello", log, rules)
    assert capsys.readouterr().out == "hello.html: hello fired once in 2.9 s of evening.mcap\n"
    page = Path("hello.html").read_text()
    assert Path("hello.html").stat().st_mode & 0o777 == 0o600
    assert "<td>lock: open_for 2; after 300 ms lock: open_for 0</td>" in page
    assert len(rects(drawn(page), "fired")) == 1
    assert "item.similarity" in page
    assert "&gt;= least = 0.5" in page
    assert "exists already" in refused(capsys, command.plot, "hello", log, rules)
    command.plot("hello", log, rules, start="1s", end="2s", force=True, as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert told == {"ok": True, "file": "hello.html", "rule": "hello", "fired": 1}
    assert "in 1.0 s of evening.mcap" in Path("hello.html").read_text()
    command.plot("hello", log, rules, out=Path("a.png"))
    assert cv2.imread("a.png") is not None


def test_what_was_decided_then_is_drawn_as_well(rules, log, tmp_path, monkeypatch, capsys):  # noqa: F811
    monkeypatch.chdir(tmp_path)
    command.run(rules, log, out=Path("said.mcap"))
    both = merged(Path("both.mcap"), log, Path("said.mcap"))
    command.plot("hello", both)
    assert len(rects(drawn(Path("hello.html").read_text()), "fired")) == 1


def test_what_cannot_be_drawn_is_a_sentence(rules, log, tmp_path, monkeypatch, capsys):  # noqa: F811
    monkeypatch.chdir(tmp_path)
    assert refused(capsys, command.plot, "helo", log, rules).endswith("did you mean `hello`?")
    assert refused(capsys, command.plot, "hello", log) == (
        f"{log} has no decisions; record the rules node, too, or name the rules to run over it"
    )
    assert "must end in .html" in refused(capsys, command.plot, "hello", log, rules, out=Path("a.pdf"))
    assert "cannot be written" in refused(capsys, command.plot, "hello", log, rules, out=Path("no/a.html"))
    assert "was not evaluated in this part" in refused(capsys, command.plot, "hello", log, rules, start="20s")
    assert "--set is for rules that are run" in refused(capsys, command.plot, "hello", log, set_=["a=1"])
    assert list(tmp_path.glob("*.html")) == []
