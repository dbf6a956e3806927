"""Phones as `locust[mqtt]` has them, for benchmarks/density.py. It runs in a virtual environment of its own.

Each subscribes to its topic, says so, and answers whatever comes; nothing is verified, applied or signed.
"""

import itertools
import os
from typing import Any

from locust import constant, task
from locust.contrib.mqtt import MqttClient, MqttUser

NUMBERS = itertools.count()
REPORT = b"r" * int(os.environ["DENSITY_REPORT_BYTES"])


class PhoneClient(MqttClient):
    """A connection that has its callbacks before it is made: afterwards may be too late."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.topic = f"{next(NUMBERS):015d}"
        self.connected, self.on_connect = self.on_connect, self.subscribe_on_connect
        self.subscribed, self.on_subscribe = self.on_subscribe, self.tell_on_subscribe
        self.on_message = self.answer

    def subscribe_on_connect(self, *arguments: Any) -> None:
        """Subscribe."""
        self.connected(*arguments)
        self.subscribe(f"down/{self.topic}", qos=1)

    def tell_on_subscribe(self, *arguments: Any) -> None:
        """Say that there is a phone."""
        self.subscribed(*arguments)
        self.publish(f"up/{self.topic}", b"ready", qos=1)

    def answer(self, *_: Any) -> None:
        """Report whatever came."""
        self.publish(f"up/{self.topic}", REPORT, qos=1)


class Phone(MqttUser):
    """One phone; it does nothing by itself."""

    client_cls = PhoneClient
    host = "127.0.0.1"
    port = int(os.environ["DENSITY_PORT"])
    use_loop_selectors = True
    """Without it more than some 340 connections are too many for `select`."""
    wait_time = constant(3600)

    @task
    def wait(self) -> None:
        """Do nothing."""
