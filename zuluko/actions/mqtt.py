"""Notices to an MQTT broker, as Home Assistant and many others listen to."""

import threading
from typing import Any

from zuluko.actions.channels import Address, RefusedError, url
from zuluko.actions.webhook import content
from zuluko.messages import NotifyCommand


class Mqtt:
    """Publishes the JSON of a webhook at QoS 1 to ``mqtts://user@host/some/topic``, or ``mqtt://``.

    Needs the extra ``mqtt``. Each notice has a connection of its own, so that none is kept up for the one
    notice of a year.
    """

    def __init__(self, address: Address) -> None:
        self._broker = url(address.to, {"mqtts": 8883, "mqtt": 1883}, secret=address.secret)
        self._topic = self._broker.path.removeprefix("/")
        if not self._topic or any(sign in self._topic for sign in "+#\0"):
            raise ValueError("`to` must end in a topic without + and #, as in mqtts://host/house/alarm")
        self._address = address
        _library()

    def send(self, notice: NotifyCommand) -> None:
        body = content(notice)
        mqtt = _library()
        client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
        client.connect_timeout = self._address.timeout
        if self._broker.username:
            client.username_pw_set(self._broker.username, self._address.secret or None)
        if self._broker.scheme == "mqtts":
            client.tls_set()
        self._publish(client, body)

    def _publish(self, client: Any, body: bytes) -> None:
        answered = threading.Event()
        refusal: list[str] = []

        def on_connect(client: Any, data: Any, flags: Any, reason: Any, properties: Any) -> None:
            refusal.extend([str(reason)] if reason.is_failure else [])
            answered.set()

        client.on_connect = on_connect
        client.connect(self._broker.hostname, self._broker.port)
        client.loop_start()
        try:
            if not answered.wait(self._address.timeout):
                raise TimeoutError(f"the broker has not answered within {self._address.timeout:g} s")
            if refusal:
                raise RefusedError(f"the broker says: {refusal[0]}")
            told = client.publish(self._topic, body, qos=1)
            told.wait_for_publish(self._address.timeout)
            if not told.is_published():
                raise TimeoutError(f"the broker has not taken it within {self._address.timeout:g} s")
        except (ValueError, RuntimeError) as error:
            raise ConnectionError(str(error)) from None
        finally:
            client.disconnect()
            client.loop_stop()


def _library() -> Any:
    """paho-mqtt, an extra; raises ValueError with what to run."""
    try:
        from paho.mqtt import client
    except ImportError:
        raise ValueError("`mqtt` needs paho-mqtt; run: pip install 'zuluko[mqtt]'") from None
    return client
