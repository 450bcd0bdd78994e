"""Where a node waits, when the graph's folder is not what it should be or the kernel tells of nothing."""

import shutil

import pytest

from tests.waiting import until
from zuluko.bus import poller as module
from zuluko.bus.poller import Poller
from zuluko.bus.publisher import Publisher
from zuluko.bus.subscriber import Subscriber
from zuluko.messages import Faces


@pytest.fixture
def no_inotify(monkeypatch):
    """As when the user's 128 instances are taken."""
    monkeypatch.setattr(module._libc, "inotify_init1", lambda flags: -1)
    module._tell_of_looking.cache_clear()


def hears(subscriber, publisher):
    publisher.send(Faces(stamp=3))
    return (envelope := subscriber.wait(0.05)) is not None and envelope.body.stamp == 3


def test_without_inotify_a_publisher_that_comes_later_is_heard_and_it_is_told_once(no_inotify, caplog):
    waiting = [Subscriber("door", "topic", Faces) for _ in range(2)]
    publisher = Publisher("door", "topic", Faces)
    for subscriber in waiting:
        until(lambda subscriber=subscriber: hears(subscriber, publisher))
    assert caplog.text.count("fs.inotify.max_user_instances") == 1
    for end in (*waiting, publisher):
        end.close()


def test_a_wait_ends_when_it_should_without_inotify(no_inotify):
    poller = Poller("door")
    poller.wait(0)
    poller.wait(0.01)
    poller.close()


def test_a_waiting_reader_outlives_a_folder_that_is_opened_to_others(run_dir):
    subscriber, publisher = Subscriber("door", "topic", Faces), Publisher("door", "topic", Faces)
    assert subscriber.connected
    (run_dir / "door").chmod(0o755)
    (run_dir / "door" / "any").touch()
    news = subscriber._poller.news
    until(lambda: subscriber.wait(0.05) is None and subscriber._poller.news > news)
    assert hears(subscriber, publisher)
    (run_dir / "door").chmod(0o700)
    publisher.close()
    publisher = Publisher("door", "topic", Faces)
    until(lambda: hears(subscriber, publisher))
    for end in (subscriber, publisher):
        end.close()


def test_a_folder_that_goes_as_it_is_attended_is_attended_again(run_dir, monkeypatch):
    real, made = module.graph_dir, []

    def unlucky(graph):
        made.append(real(graph))
        if len(made) == 1:
            made[0].rmdir()
        return made[-1]

    subscriber = Subscriber("door", "topic", Faces)
    monkeypatch.setattr(module, "graph_dir", unlucky)
    shutil.rmtree(run_dir / "door")
    until(lambda: subscriber.wait(0.05) is None and len(made) > 1)
    publisher = Publisher("door", "topic", Faces)
    until(lambda: hears(subscriber, publisher))
    for end in (subscriber, publisher):
        end.close()


def test_a_subscriber_may_be_closed_after_its_poller():
    publisher, poller = Publisher("door", "topic", Faces), Poller("door")
    subscriber = Subscriber("door", "topic", Faces, poller=poller)
    until(lambda: publisher.subscribers)
    poller.close()
    subscriber.close()
    until(lambda: not publisher.subscribers)
    publisher.close()
