"""The notify node: real servers, good and bad, and what is told of each notice."""

import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from tests import servers
from tests.running import up, write, zuluko
from tests.servers import answering, serving
from tests.waiting import until
from zuluko.actions import email
from zuluko.actions.channels import Address, SimulatedChannel, find_driver, read_secret
from zuluko.actions.notify import Patience, _Postman, check_notify, deliver, notify
from zuluko.actions.webhook import LARGEST
from zuluko.bus.streams import Stream
from zuluko.messages import NotifyCommand, NotifyState

QUICK: dict[str, Any] = {"tries": 3, "backoff": 0.0, "timeout": 0.5}


class Waiting(Stream[NotifyCommand]):
    """Commands that come at once, and an end that comes when all of them are answered."""

    def __init__(self, commands: list[NotifyCommand]) -> None:
        super().__init__()
        self._left = list(commands)
        self.open = len(commands)

    def next(self, timeout: float | None = None) -> NotifyCommand | None:
        if self._left:
            return self._left.pop(0)
        self.ended = self.open == 0
        if not self.ended:
            time.sleep(timeout or 0)
        return None


def notice(number: int = 0, text: str = "somebody is there", **fields: Any) -> NotifyCommand:
    return NotifyCommand(stamp=1000 + number, id=f"rules.alert-{number}", text=text, **fields)


def told(node: Any, commands: Waiting) -> list[NotifyState]:
    states = []
    for state in node:
        states.append(state)
        commands.open -= 1
    return states


def run(*commands: NotifyCommand, **options: Any) -> list[NotifyState]:
    stream = Waiting(list(commands))
    return told(notify(stream, **{**QUICK, **options}), stream)


def through(channel: Any, *commands: NotifyCommand, **patience: Any) -> list[NotifyState]:
    stream = Waiting(list(commands))
    return told(deliver(stream, channel, patience=Patience(**{"backoff": 0.0, **patience})), stream)


def to(server: servers.Server, path: str = "/hook/T0P5ECRET") -> dict[str, Any]:
    return {"driver": "webhook", "to": f"http://127.0.0.1:{server.port}{path}"}


def test_a_simulated_notice_is_in_its_state():
    (state,) = run(notice(title="Guard", level="alarm"))
    assert (state.outcome, state.reason, state.tries) == ("done", "", 1)
    assert (state.title, state.text, state.command, state.stamp) == (
        "Guard",
        "somebody is there",
        "rules.alert-0",
        1000,
    )


def test_a_failure_is_tried_again_and_counted():
    channel = SimulatedChannel(fail=2)
    (state,) = through(channel, notice())
    assert (state.outcome, state.tries, len(channel.sent)) == ("done", 3, 1)


def test_it_gives_up_and_says_why():
    states = through(SimulatedChannel(fail=4), notice(0), notice(1), tries=4)
    assert [(one.outcome, one.tries) for one in states] == [("failed", 4), ("done", 1)]
    assert states[0].reason == "the simulated channel was told to fail"


class Recorded(threading.Event):
    """An event that nobody waits for."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(timeout or 0.0)
        return False


def test_the_pauses_double_up_to_a_minute():
    hurry = Recorded()
    postman = _Postman(SimulatedChannel(fail=9), Address(), Patience(tries=9, backoff=1.0))
    assert postman.send(notice(), hurry).outcome == "failed"
    wanted = (1, 2, 4, 8, 16, 32, 60, 60)
    assert hurry.waits == [pytest.approx(pause, rel=0.2) for pause in wanted]


def test_a_refusal_is_not_tried_again():
    states = through(SimulatedChannel(refuse=1), notice(0), notice(1))
    assert [(one.outcome, one.tries) for one in states] == [("failed", 1), ("done", 1)]


def test_each_command_is_answered_once_whatever_fails():
    channel = SimulatedChannel(fail=7, refuse=2)
    states = through(channel, *(notice(n) for n in range(20)), tries=2)
    assert [one.command for one in states] == [f"rules.alert-{n}" for n in range(20)]
    assert [one.outcome for one in states].count("done") == len(channel.sent)


# -- webhooks


def test_a_webhook_gets_the_notice_as_json():
    with serving(answering(200)) as server:
        (state,) = run(notice(text="Ännchen\n☺", title="t", reason="alert"), **to(server), secret="s3cr3t")
    assert (state.outcome, state.tries) == ("done", 1)
    assert server.seen == [
        {
            "title": "t",
            "text": "Ännchen\n☺",
            "level": "info",
            "rule": "alert",
            "stamp": 1000,
            "id": "rules.alert-0",
        }
    ]
    (head,) = server.heads
    assert head.startswith("POST /hook/T0P5ECRET HTTP/1.1\r\n")
    assert "\r\nAuthorization: Bearer s3cr3t\r\n" in head
    assert "\r\nIdempotency-Key: rules.alert-0\r\n" in head
    assert f"\r\nHost: 127.0.0.1:{server.port}\r\n" in head


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (answering(500, "oh no"), "the server says 500 Said: oh no"),
        (answering(429), "the server says 429 Said"),
        (servers.hanging, "it took longer than 0.5 s"),
        (servers.dripping, "it took longer than 0.5 s"),
        (servers.resetting, "Connection reset by peer"),
        (servers.babbling, "no answer that is HTTP: BadStatusLine"),
    ],
)
def test_what_a_bad_server_does_is_tried_again_and_told(bad, why):
    with serving(bad) as server:
        (state,) = run(notice(), **to(server), tries=2)
        assert (state.outcome, state.tries, state.reason) == ("failed", 2, why)
        assert server.connections == 2
    with serving(bad, answering(204)) as server:
        (state,) = run(notice(), **to(server))
        assert (state.outcome, state.tries) == ("done", 2)
        assert server.seen[0] == server.seen[1]


@pytest.mark.parametrize("status", [301, 307, 400, 401, 404, 410])
def test_what_no_second_try_mends_is_not_tried_again(status):
    with serving(answering(status, "no")) as server:
        (state,) = run(notice(), **to(server))
    assert (state.outcome, state.tries, state.reason) == ("failed", 1, f"the server says {status} Said: no")
    assert server.connections == 1


def test_an_endless_answer_is_not_read_to_its_end():
    with serving(servers.pouring) as server:
        (state,) = run(notice(), **to(server))
    assert state.outcome == "done"


def test_nobody_there_is_told():
    (state,) = run(notice(), driver="webhook", to="http://127.0.0.1:1/x")
    assert (state.outcome, state.tries, state.reason) == ("failed", 3, "Connection refused")


def test_a_server_that_hangs_does_not_hold_up_the_others_for_ever():
    with serving(servers.hanging, answering(200)) as server:
        states = run(notice(0), notice(1), **to(server), tries=1)
    assert [one.outcome for one in states] == ["failed", "done"]


def test_more_than_may_wait_are_refused_at_once():
    with serving(servers.hanging) as server:
        states = run(*(notice(n) for n in range(6)), **to(server), tries=1, timeout=0.2, most_waiting=2)
    refused = [one for one in states if one.outcome == "refused"]
    assert {one.reason for one in refused} == {"2 notices wait already"}
    assert 3 <= len(refused) <= 4  # the first may have been taken up before the last came
    assert states[: len(refused)] == refused
    assert {one.command for one in states} == {f"rules.alert-{n}" for n in range(6)}


def test_what_is_still_to_be_sent_at_the_end_is_told():
    with serving(servers.hanging) as server:
        states = list(notify(Stream([notice(n) for n in range(3)]), **to(server), timeout=60.0))
    assert [(one.command, one.outcome, one.reason) for one in states] == [
        (f"rules.alert-{n}", "failed", "the node was told to stop") for n in range(3)
    ]


def test_a_notice_too_long_is_not_sent():
    with serving(answering(200)) as server:
        (state,) = run(notice(text="x" * LARGEST), **to(server))
    assert state.outcome == "failed"
    assert f"at most {LARGEST}" in state.reason
    assert server.connections == 0


def test_an_id_breaks_out_of_no_header():
    with serving(answering(200)) as server:
        command = NotifyCommand(stamp=1, id="a\r\nX-Evil: 1", text="t")
        (state,) = run(command, **to(server))
    assert state.outcome == "done"
    assert "X-Evil: 1" not in server.heads[0]


def test_no_secret_is_told_though_the_server_says_it():
    body = "bad token s3cr3t for hook/T0P5ECRET"
    with serving(answering(401, body)) as server:
        (state,) = run(notice(), **to(server), secret="s3cr3t")
    assert state.reason == "the server says 401 Said: bad token *** for ***"
    assert "s3cr3t" not in repr(Address(secret="s3cr3t"))


# -- e-mail


def mailing(server: servers.Server, user: str = "") -> dict[str, Any]:
    via = f"smtp://{user}127.0.0.1:{server.port}"
    return {"driver": "email", "to": "ana@example.org", "sender": "door@example.org", "via": via}


def test_an_email_is_sent():
    with serving(servers.mail()) as server:
        (state,) = run(notice(title="Two\nlines", level="alarm"), **mailing(server, "me@"), secret="pass")
    assert (state.outcome, state.reason) == ("done", "")
    (letter,) = server.seen
    assert "Subject: Two lines\r\n" in letter
    assert "X-Priority: 1\r\n" in letter
    assert "somebody is there" in letter
    assert any(line.startswith("AUTH PLAIN") for line in server.heads)


@pytest.mark.parametrize(("answer", "tries"), [(b"451 later", 3), (b"550 never", 1)])
def test_a_mail_servers_refusal_is_told(answer, tries):
    with serving(servers.mail(refuse=answer)) as server:
        (state,) = run(notice(), **mailing(server))
    assert (state.outcome, state.tries) == ("failed", tries)
    assert state.reason == f"the server says {answer.decode()}"


def test_a_mail_server_that_hangs_is_left():
    with serving(lambda server, link: server.ended.wait()) as server:
        (state,) = run(notice(), **mailing(server), tries=1)
    assert (state.outcome, state.reason) == ("failed", "it took longer than 0.5 s")


def test_elsewhere_a_password_is_not_sent_without_tls(monkeypatch):
    monkeypatch.setattr(email, "is_local", lambda host: False)
    with serving(servers.mail()) as server:
        (state,) = run(notice(), **mailing(server, "me@"), secret="pass")
    assert (state.outcome, state.tries) == ("failed", 1)
    assert "STARTTLS" in state.reason
    assert not any(line.startswith("AUTH") for line in server.heads)


# -- TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for this machine that nobody trusts by itself."""
    if not shutil.which("openssl"):
        pytest.skip("no openssl to make a certificate with")
    file = tmp_path_factory.mktemp("tls") / "both.pem"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
    ]
    about = ["-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "1"]
    subprocess.run(
        [*command, *about, "-keyout", file, "-out", f"{file}.crt"], check=True, capture_output=True
    )
    file.write_text(file.read_text() + Path(f"{file}.crt").read_text())
    return file


def test_a_certificate_is_checked(certificate, monkeypatch):
    with serving(servers.secured(answering(200), certificate)) as server:
        safe = {
            "driver": "webhook",
            "to": f"https://127.0.0.1:{server.port}/",
            "secret": "s3cr3t",
            "timeout": 5.0,
        }
        (state,) = run(notice(), **safe, tries=1)
        assert state.outcome == "failed"
        assert "certificate verify failed" in state.reason
        assert server.seen == []
        monkeypatch.setenv("SSL_CERT_FILE", f"{certificate}.crt")
        (state,) = run(notice(), **safe)
        assert (state.outcome, len(server.seen)) == ("done", 1)
        (state,) = run(notice(), **{**safe, "to": f"https://localhost:{server.port}/"}, tries=1)
        assert "certificate verify failed" in state.reason  # it is for another name


def test_a_server_that_hangs_in_its_greeting_is_left():
    with serving(lambda server, link: server.ended.wait()) as server:
        (state,) = run(notice(), driver="webhook", to=f"https://127.0.0.1:{server.port}/", tries=1)
    assert (state.outcome, state.reason) == ("failed", "it took longer than 0.5 s")


@pytest.mark.parametrize("scheme", ["smtps", "smtp"])
def test_mail_goes_over_tls(scheme, certificate, monkeypatch):
    monkeypatch.setattr(email, "is_local", lambda host: False)
    monkeypatch.setenv("SSL_CERT_FILE", f"{certificate}.crt")
    behaviour = servers.mail(certificate=certificate)
    with serving(servers.secured(servers.mail(), certificate) if scheme == "smtps" else behaviour) as server:
        options = {**mailing(server), "via": f"{scheme}://me@127.0.0.1:{server.port}", "timeout": 5.0}
        (state,) = run(notice(), **options, secret="pass")
    assert (state.outcome, state.reason) == ("done", "")
    verbs = [line.split()[0] for line in server.heads]
    assert verbs.index("AUTH") > (verbs.index("STARTTLS") if scheme == "smtp" else 0)


# -- mqtt


def test_without_its_library_mqtt_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "paho.mqtt", None)
    with pytest.raises(ValueError, match=r"pip install 'zuluko\[mqtt\]'"):
        find_driver("mqtt")(Address(to="mqtts://example.org/a"))


def test_mqtt_is_published_and_acknowledged():
    pytest.importorskip("paho.mqtt")
    with serving(servers.broker()) as server:
        (state,) = run(
            notice(),
            driver="mqtt",
            to=f"mqtt://me@127.0.0.1:{server.port}/house/alarm",
            secret="pw",
            timeout=5.0,
        )
    assert (state.outcome, state.reason) == ("done", "")
    assert server.heads[1] == "house/alarm"
    assert "me" in server.heads[0]
    assert server.seen[0]["text"] == "somebody is there"


@pytest.mark.parametrize(
    ("broker", "tries", "why"),
    [
        (servers.broker(refuse=5), 1, "the broker says: Not authorized"),
        (servers.broker(acknowledge=False), 2, "the broker has not taken it within 0.5 s"),
        (lambda server, link: server.ended.wait(), 2, "the broker has not answered within 0.5 s"),
    ],
)
def test_a_bad_broker_is_told(broker, tries, why):
    pytest.importorskip("paho.mqtt")
    with serving(broker) as server:
        (state,) = run(notice(), driver="mqtt", to=f"mqtt://127.0.0.1:{server.port}/a", tries=2)
    assert (state.outcome, state.tries, state.reason) == ("failed", tries, why)


# -- desktop


def test_the_desktop_is_told(tmp_path, monkeypatch):
    script = tmp_path / "notify-send"
    script.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {tmp_path}/said\n')
    script.chmod(0o755)
    monkeypatch.setattr("zuluko.actions.program.PATH", f"{tmp_path}:/usr/bin:/bin")
    (state,) = run(notice(text="--help; rm -rf /", level="alarm"), driver="desktop", timeout=10.0)
    assert (state.outcome, state.reason) == ("done", "")
    assert (tmp_path / "said").read_text().splitlines() == [
        "--app-name=zuluko",
        "--urgency=critical",
        "--",
        "Zuluko",
        "--help; rm -rf /",
    ]


# -- its configuration


@pytest.mark.parametrize(
    ("options", "key", "what"),
    [
        ({"driver": "pigeon"}, "driver", "there is no channel `pigeon`"),
        ({"driver": "webhook"}, "driver", "must be a URL that begins with https:// or http://"),
        ({"driver": "webhook", "to": "https://[x"}, "driver", "must be a URL that begins with"),
        ({"driver": "webhook", "to": "https:///x"}, "driver", "must be a URL with a host and without"),
        ({"driver": "webhook", "to": "https://h/a b"}, "driver", "must be a URL with a host and without"),
        ({"driver": "webhook", "to": "https://me:pw@h/"}, "driver", "has a password in it"),
        (
            {"driver": "webhook", "to": "http://h/", "secret": "s"},
            "driver",
            "the secret in the clear; use https://",
        ),
        ({"driver": "email", "via": "smtps://h", "to": "ana"}, "driver", "`to` must be an e-mail address"),
        (
            {"driver": "email", "via": "smtps://h", "to": "a@b", "sender": "c@d", "secret": "s"},
            "driver",
            "`via` must name the user",
        ),
        ({"driver": "mqtt", "to": "mqtts://h"}, "driver", "must end in a topic"),
        ({"driver": "mqtt", "to": "mqtts://h/a/#"}, "driver", "must be a URL|must end in a topic"),
        ({"timeout": 0.0}, "timeout", "longer than 0 s"),
        ({"tries": 0}, "tries", "must be 1 or more"),
        ({"backoff": float("nan")}, "backoff", "from 0 to 60 s"),
        ({"secret": "a", "secret_file": Path("/dev/null")}, "secret_file", "give one of them"),
        ({"secret_file": Path("/nowhere")}, "secret_file", "cannot be read: No such file"),
    ],
)
def test_check_tells_what_is_wrong(options, key, what):
    given = {
        **{"driver": "simulated", "to": "", "via": "", "sender": "", "secret": "", "secret_file": None},
        **{"timeout": 5.0, "tries": 4, "backoff": 1.0, "most_waiting": 32},
        **options,
    }
    faults = [*check_notify(**given)]
    assert any(fault.key == key and re.search(what, fault.what) for fault in faults), faults


def test_a_secret_file_is_read_by_its_owner_only(tmp_path):
    file = tmp_path / "token"
    file.write_text("s3cr3t\n")
    for mode in (0o644, 0o640, 0o604):
        file.chmod(mode)
        with pytest.raises(ValueError, match=f"can be read by others; run: chmod 600 {file}"):
            read_secret(file)
    file.chmod(0o600)
    assert read_secret(file) == "s3cr3t"
    for content in (b"", b"\n", b"x" * 5000, b"\xff", b"a\nb"):
        file.write_bytes(content)
        with pytest.raises(ValueError, match="must hold one line of text"):
            read_secret(file)
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(ValueError, match="is no file"):
        read_secret(tmp_path / "pipe")


# -- in a graph

GRAPH = """nodes:
  rangefinder: {run: "tests.driving:rangefinder"}
  rules: {run: near.rules.yaml}
  alarm: {run: zuluko.actions.notify, in: {commands: rules}, OPTIONS}
"""
RULES = """
near:
  when: rangefinder
  if: [rangefinder.metres > 0.5]
  max_age: 300ms
  do: {alarm: {text: somebody is near, level: alarm}}
"""


def test_a_rule_notifies_and_the_graph_tells(tmp_path, monkeypatch):
    write(tmp_path, RULES, "near.rules.yaml")
    monkeypatch.setenv("HOOK_TOKEN", "s3cr3t-from-outside")
    with serving(answering(503, "s3cr3t-from-outside"), answering(200)) as server:
        options = f"driver: webhook, to: 'http://127.0.0.1:{server.port}/', secret: '$env:HOOK_TOKEN', backoff: 10ms"
        file = write(tmp_path, GRAPH.replace("OPTIONS", options))
        with up(file) as graph:
            graph.wait_for("alarm", "done: somebody is near")
            graph.stop()
        assert "s3cr3t" not in json.dumps(graph.events)
        assert [head.count("Bearer s3cr3t-from-outside") for head in server.heads] == [1, 1]
        shown = zuluko("check", file, "--expand")
    assert shown.returncode == 0, shown.stderr
    assert "s3cr3t" not in shown.stdout + shown.stderr
    assert "$env:HOOK_TOKEN" in shown.stdout


def test_a_node_whose_server_hangs_stops_all_the_same(tmp_path):
    write(tmp_path, RULES, "near.rules.yaml")
    with serving(servers.hanging) as server:
        options = f"driver: webhook, to: 'http://127.0.0.1:{server.port}/', timeout: 60s"
        with up(write(tmp_path, GRAPH.replace("OPTIONS", options))) as graph:
            until(lambda: server.seen, what="the notice was sent")
            assert graph.stop() == 0
            assert graph.told("alarm", "failed: somebody is near (the node was told to stop)")
