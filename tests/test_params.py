"""Parameters of a launch file: their types, what may be typed for them, and how they are listed."""

import sys
from pathlib import Path

import pytest

from tests.running import write, zuluko
from zuluko.document import DocumentError
from zuluko.launch import launchfile

ALL = """
params:
  hz: {default: 15, type: float, help: "counts [a second]"}
  limit: 3
  wait: 150ms
  on: true
  names: [ana]
  name: demo
  place: {default: null, type: path}
  must: {type: int, help: "how many"}
nodes:
  count: {run: "NODES:count", hz: $hz, limit: $limit}
"""


def load(folder: Path, text: str, **sets: str):
    return launchfile.load(Path(write(folder, text)), sets=sets)


def test_the_types_follow_from_the_defaults_where_they_are_not_given(tmp_path):
    params = load(tmp_path, ALL, must="1").params
    assert {name: param.type for name, param in params.items()} == {
        "hz": "float",
        "limit": "int",
        "wait": "duration",
        "on": "bool",
        "names": "list",
        "name": "text",
        "place": "path",
        "must": "int",
    }
    assert [name for name, param in params.items() if param.required] == ["must"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("hz", "7.5"),
        ("limit", "4"),
        ("wait", "2s"),
        ("on", "false"),
        ("names", "ana,ben"),
        ("names", "[ana]"),
        ("names", "ana"),
        ("name", "7"),
        ("name", "a b"),
        ("place", "/tmp"),
        ("place", "null"),
        ("must", "0"),
    ],
)
def test_what_may_be_typed(tmp_path, name, text):
    load(tmp_path, ALL, **{"must": "1", name: text})


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("hz", "fast", "`hz` is `fast`; expected a number; try `--set hz=15`"),
        ("hz", "null", "`hz` is `null`; expected a number; try `--set hz=15`"),
        ("limit", "x", "`limit` is `x`; expected a number; try `--set limit=3`"),
        ("wait", "150", "`wait`: a duration needs its unit: write 150s or 150ms, not 150"),
        ("on", "yes", "`on` is `yes`; expected true or false; try `--set on=true`"),
        ("must", "1.5", "`must` is `1.5`; expected a whole number; try `--set must=15`"),
        ("names", "[a", "`names` is `[a`; expected a list such as [a, b]; try `--set names=[ana]`"),
    ],
)
def test_what_may_not_be_typed_is_told_at_the_command_line(tmp_path, name, text, said):
    with pytest.raises(DocumentError) as wrong:
        load(tmp_path, ALL, **{"must": "1", name: text})
    assert str(wrong.value) == f"--set {name}: {said}"


def test_a_parameter_without_a_default_must_be_given(tmp_path):
    with pytest.raises(
        DocumentError, match=r":10:3: `must` has no default and was not given; try --set must=15$"
    ):
        load(tmp_path, ALL)


def test_a_default_may_come_from_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("HOW_MANY", "9")
    text = "params: {limit: $env:HOW_MANY}\nnodes: {count: {run: 'NODES:count', limit: $limit}}"
    assert load(tmp_path, text).entries["count"].options == {"limit": 9}


def test_a_value_of_the_environment_is_never_shown(tmp_path, monkeypatch):
    monkeypatch.setenv("CAMERA_PASSWORD", "s3cret")
    values = ["$env:CAMERA_PASSWORD", "x$env:CAMERA_PASSWORD", "$p"]
    for value in values:
        for key in ("hz", "nice", "memory", "restart", "when", "cpu", "env"):
            text = f"params: {{p: $env:CAMERA_PASSWORD}}\nnodes: {{count: {{run: 'NODES:count', {key}: '{value}'}}}}"
            with pytest.raises(DocumentError) as wrong:
                load(tmp_path, text)
            if key != "when":  # a condition is code, and is shown
                assert "s3cret" not in str(wrong.value), (key, value)
    text = "nodes: {camera: {run: zuluko.nodes.camera, source: $env:CAMERA_PASSWORD}}"
    with pytest.raises(DocumentError, match="no such file what \\$env:CAMERA_PASSWORD holds"):
        load(tmp_path, text)


@pytest.mark.parametrize("command", ["up", "check"])
def test_help_lists_them(tmp_path, command):
    """Without importing the nodes: one that would fail on import is listed as well."""
    file = write(tmp_path, ALL + "  broken: {run: ./broken.py}\n")
    (tmp_path / "broken.py").write_text("1 / 0\n")
    shown = zuluko(command, "--set", "name=x", file, "--help").stdout
    assert "Usage:" in shown
    assert "Parameters of graph.yaml, as --set NAME=VALUE" in shown
    for row in (
        "hz=15 float counts [a second]",
        "limit=3 number",
        "must= int, required how many",
        "place=null path",
    ):
        assert row in " ".join(shown.replace("│", " ").split()), shown


def test_help_without_a_graph_is_the_commands_own():
    assert "Parameters of" not in zuluko("up", "--help").stdout
    assert "There is no launch file nothing.yaml" in zuluko("up", "nothing.yaml", "--help").stdout


def test_help_loads_no_node(tmp_path):
    code = (
        "import sys, runpy\n"
        "sys.argv = ['zuluko', 'up', 'door', '--help']\n"
        "try:\n    runpy.run_module('zuluko', run_name='__main__')\n"
        "except SystemExit:\n    pass\n"
        "print([name for name in ('cv2', 'onnxruntime', 'zuluko.nodes.camera', 'cel.cel') if name in sys.modules])"
    )
    import subprocess

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert "threshold=0.45" in done.stdout
