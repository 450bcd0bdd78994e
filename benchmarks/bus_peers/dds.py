"""Cyclone DDS on the loopback interface, reliable, without multicast."""

import os
from dataclasses import dataclass
from types import new_class
from typing import Any

os.environ["CYCLONEDDS_URI"] = (
    "<CycloneDDS><Domain><General><Interfaces><NetworkInterface name='lo'/></Interfaces>"
    "<AllowMulticast>false</AllowMulticast><MaxMessageSize>65500B</MaxMessageSize></General>"
    "<Discovery><Peers><Peer address='127.0.0.1'/></Peers>"
    "<ParticipantIndex>auto</ParticipantIndex></Discovery>"
    "<Internal><SocketReceiveBufferSize min='default' max='4MB'/></Internal></Domain></CycloneDDS>"
)

from cyclonedds.core import InstanceState, Policy, Qos, ReadCondition, SampleState, ViewState, WaitSet
from cyclonedds.domain import DomainParticipant
from cyclonedds.idl import IdlStruct
from cyclonedds.idl.types import array, int64, uint8
from cyclonedds.pub import DataWriter
from cyclonedds.sub import DataReader
from cyclonedds.topic import Topic
from cyclonedds.util import duration

from benchmarks.bus_peers.work import Link, Ready, Run, Take


def join(run: Run) -> tuple[Any, Any, Any, Any]:
    """The participant, the topic, its quality of service, and its type."""
    fields = {"stamp": int64, "seq": int64, "data": array[uint8, run.size]}
    named = {"typename": "Sample"}
    bare = new_class("Sample", (IdlStruct,), named, lambda body: body.update(__annotations__=fields))
    sample: Any = dataclass(bare)
    participant = DomainParticipant()
    quality = Qos(Policy.Reliability.Reliable(duration(seconds=1)), Policy.History.KeepLast(run.keep))
    name = run.folder.name.replace("-", "_")
    return participant, Topic(participant, name, sample, qos=quality), quality, sample


def publisher(run: Run) -> Link:
    participant, topic, quality, sample = join(run)
    outlet = DataWriter(participant, topic, qos=quality)

    def send(stamp: int, seq: int, payload: Any) -> None:
        outlet.write(sample(stamp, seq, payload if run.small else payload.tobytes()))

    return Link(send)


def subscriber(run: Run, take: Take, ready: Ready) -> None:
    participant, topic, quality, _ = join(run)
    inlet = DataReader(participant, topic, qos=quality)
    waiting = WaitSet(participant)
    something = ReadCondition(inlet, SampleState.Any | ViewState.Any | InstanceState.Any)
    waiting.attach(something)
    ready()
    while True:
        waiting.wait(duration(seconds=1))
        for sample in inlet.take(32, condition=something):
            if not hasattr(sample, "stamp"):
                continue  # news of the publisher, not a message
            if take(sample.stamp, sample.seq, None if run.small else run.view(sample.data)):
                return
