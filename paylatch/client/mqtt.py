"""A lender's view of a bridge, over MQTT: decisions go out on one topic, every step comes back on another.

MQTT's own acknowledgement proves nothing: the broker gives it whether or not the bridge is there. So a decision that
has got no result is sent again, unchanged, until it has; the bridge does it once (`docs/mqtt.md`).
"""

import asyncio
import json
import math
import ssl
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from http import HTTPStatus
from itertools import chain
from typing import Any, Final

import aiomqtt

from lock_protocol.topics import DEFAULT_PREFIX, Topics
from paylatch.client.answers import Command, Decided, Step, read
from paylatch.client.decisions import DecisionLike, body_of
from paylatch.client.errors import NotAllowedError, PaylatchError, Problem, UnavailableError, error_of, problem_in
from paylatch.client.patience import PATIENT, Patience

ANSWER_WITHIN_S = 10.0
"""After so long without a result a decision is sent again."""
_ASK_AGAIN_S = 60.0
"""A phone may be switched off for days; of lost steps the newest is told when its decision is sent again."""
_TELL_AGAIN_S = 1.0
_QOS = 1
_MAX_HEARD = 64
"""Of one decision. Only somebody who does not read what he asked for fills it; the oldest go."""
_LAST_STEPS: Final = frozenset({"succeeded", "superseded"})
_BAD_USER_OR_PASSWORD, _NOT_AUTHORIZED = 134, 135

_Result = Mapping[str, Any]
_Heard = asyncio.Queue[_Result]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Broker:
    """Where the broker is, and who comes."""

    host: str
    port: int
    lender: str
    password: str = field(repr=False)
    tls: ssl.SSLContext | None

    def __str__(self) -> str:
        return f"the broker at {self.host}:{self.port}"

    def client(self) -> aiomqtt.Client:
        """Return a new connection, not yet entered, under a client id that the broker makes up."""
        return aiomqtt.Client(
            self.host,
            self.port,
            username=self.lender,
            password=self.password,
            tls_context=self.tls,
            protocol=aiomqtt.ProtocolVersion.V5,
            clean_start=True,
        )


class MqttLender:
    """A lender's connection to the broker: one, that is made again when it breaks.

    What the bridge refuses, and what does not come about in time, is a `PaylatchError`, in the kinds that each method
    names. A decision that JSON cannot hold is a `ValueError` or a `TypeError`, before anything is sent.

    A result names its decision by the `decision_id` and by nothing else. When something else has been sent under the
    same one, here or elsewhere, whoever waits for it hears `ConflictError`, also when his own decision stands, and may
    hear what was decided for the other. Ask over HTTP then: its answer is about the body that was sent with it.

    A broker that does not let this lender in any more ends the connection for good: whoever waits hears
    `NotAllowedError` at once, and so does whoever asks later. What had no result may have been taken.

    Args:
        broker: where it is.
        topics: of whom.
        patience: how long a decision without a result is sent again.
        answer_within_s: how long each time is waited for one.
    """

    def __init__(self, broker: _Broker, topics: Topics, patience: Patience, answer_within_s: float) -> None:
        self._broker = broker
        self._decisions, self._results = topics.decisions(broker.lender), topics.results(broker.lender)
        self._patience = patience
        self._answer_within_s = answer_within_s
        self._client: aiomqtt.Client | None = None
        self._why_not: PaylatchError = UnavailableError(f"{broker} is not connected yet")
        self._listeners: defaultdict[str, list[_Heard]] = defaultdict(list)

    async def decide(self, decision: DecisionLike) -> Decided:
        """Report a decision. When this returns, it is durable; the phone follows.

        Raises:
            RefusedError: in one of its kinds, as over HTTP; nothing was done.
            UnavailableError: no result came. It may have been taken: send the same one again.
        """
        body = body_of(decision)
        with self._listening(body) as heard:
            return await self._decided(body, heard)

    async def follow(self, decision: DecisionLike, timeout_s: float) -> AsyncIterator[Decided | Step]:
        """Report a decision; yield what was decided, and then every step of what follows until its phone has done it.

        It ends with the step `succeeded` or `superseded`, or at once if nothing follows. A step can be missing when a
        later one has come.

        Args:
            decision: as `decide` takes it.
            timeout_s: for how long its phone is waited for, once it is decided.

        Raises:
            RefusedError: in one of its kinds. Before anything was decided nothing was done; else that stands.
            UnavailableError: no result came, as with `decide`; or the phone has not done it in time. It may be switched
                off, and follows when it is back.
        """
        body = body_of(decision)
        with self._listening(body) as heard:
            decided = await self._decided(body, heard)
            deadline = asyncio.get_running_loop().time() + timeout_s
            yield decided
            last: Step | None = None
            while decided.command_id is not None and (last is None or last.step not in _LAST_STEPS):
                try:
                    async with asyncio.timeout_at(deadline):
                        step = await self._next_step(body, heard)
                except TimeoutError:
                    so_far = "decided" if last is None else last.step
                    raise UnavailableError(f"{decided.command_id} is still {so_far} after {timeout_s:g} s") from None
                if last is None or (step.step, step.command.command_id) != (last.step, last.command.command_id):
                    last = step
                    yield step

    async def run(self) -> None:
        """Keep the connection until cancelled, or until the broker does not let this lender in."""
        attempt = 0
        while True:
            try:
                async with self._broker.client() as client:
                    await client.subscribe(self._results, qos=_QOS, timeout=math.inf)
                    self._client, attempt = client, 0
                    async for message in client.messages:
                        self._hear(message.payload)
            except aiomqtt.MqttError as error:
                self._why_not = _meaning(error, self._broker)
            finally:
                self._client = None
            if isinstance(self._why_not, NotAllowedError):
                self._refuse_all(self._why_not.problem)
                return
            await asyncio.sleep(self._patience.pause_s(attempt))
            attempt += 1

    async def is_connected(self) -> None:
        """Return when there is a connection.

        Raises:
            UnavailableError: there was none in time.
            NotAllowedError: the broker knows no such lender, or another password.
        """
        await self._patience.insist(self._connection)

    async def _connection(self) -> aiomqtt.Client:
        if self._client is None:
            raise self._why_not
        return self._client

    async def _decided(self, body: _Result, heard: _Heard) -> Decided:
        async def send_and_hear() -> Decided:
            await self._send(body)
            try:
                async with asyncio.timeout(self._answer_within_s):
                    return await _first_answer(heard)
            except TimeoutError:
                raise UnavailableError(
                    f"no result came within {self._answer_within_s:g} s: the bridge may be away"
                ) from None

        return await self._patience.insist(send_and_hear)

    async def _send(self, body: _Result) -> None:
        client = await self._connection()
        try:
            async with asyncio.timeout(self._answer_within_s):
                await client.publish(self._decisions, json.dumps(body, allow_nan=False), qos=_QOS, timeout=math.inf)
        except (aiomqtt.MqttError, TimeoutError) as error:
            raise UnavailableError(f"{self._broker} does not take messages: {str(error) or 'no answer'}") from error

    async def _next_step(self, body: _Result, heard: _Heard) -> Step:
        """Return the next step; the caller says how long to wait for it."""
        while True:
            try:
                async with asyncio.timeout(_ASK_AGAIN_S):
                    result = await heard.get()
            except TimeoutError:
                with suppress(UnavailableError):  # it is sent again after the next pause
                    await self._send(body)
                continue
            if result["step"] == "refused":
                with suppress(UnavailableError):  # about the moment: it is decided, and asked for again later
                    raise _refusal(result)
            elif result["step"] != "decided":
                return Step(step=result["step"], command=read(Command, result))

    @contextmanager
    def _listening(self, body: _Result) -> Iterator[_Heard]:
        """Give what the results of a decision come to."""
        name, heard = str(body.get("decision_id")), _Heard(_MAX_HEARD)
        self._listeners[name].append(heard)
        try:
            yield heard
        finally:
            self._listeners[name].remove(heard)
            if not self._listeners[name]:
                del self._listeners[name]

    def _hear(self, payload: object) -> None:
        try:
            result = json.loads(payload) if isinstance(payload, bytes) else None
        except ValueError:
            return  # only the bridge may write here, and what it says is JSON; nobody waits for anything else
        if not isinstance(result, dict) or "step" not in result:
            return
        for heard in self._listeners.get(str(result.get("decision_id")), ()):
            _tell(heard, result)

    def _refuse_all(self, problem: Problem) -> None:
        """Tell all who wait that no result will come."""
        for heard in chain.from_iterable(self._listeners.values()):
            _tell(heard, {"step": "refused", "problem": asdict(problem)})


@asynccontextmanager
async def connect_mqtt(
    host: str,
    port: int,
    *,
    lender: str,
    password: str,
    tls: ssl.SSLContext | None = None,
    topic_prefix: str = DEFAULT_PREFIX,
    patience: Patience = PATIENT,
    answer_within_s: float = ANSWER_WITHIN_S,
) -> AsyncIterator[MqttLender]:
    """Give a lender's connection to the broker.

    Args:
        host: where the broker is.
        port: of its listener for services, which is another than that for phones.
        lender: your name, which is the username too.
        password: made by `paylatch lender mqtt-password`; read it from a file or a secret store.
        tls: like `ssl.create_default_context(cafile=…)`; None on the same machine, or through a VPN.
        topic_prefix: as the bridge is told.
        patience: how long a decision without a result is sent again.
        answer_within_s: how long each time is waited for a result.

    Raises:
        UnavailableError: the broker cannot be reached.
        NotAllowedError: it knows no such lender, or another password.
        ValueError: no broker has such an address, no lender such a name, or no topic such a prefix.
    """
    _require_address(host, port)
    broker = _Broker(host=host, port=port, lender=lender, password=password, tls=tls)
    connection = MqttLender(broker, Topics(topic_prefix), patience, answer_within_s)
    # Not a task group: whatever goes wrong inside has to come out as itself.
    running = asyncio.create_task(connection.run(), name="lender over MQTT")
    try:
        await connection.is_connected()
        yield connection
    finally:
        await _ended(running)


def _require_address(host: str, port: int) -> None:
    """Refuse at once what no patience will make an address."""
    try:
        named = bool(host.encode("idna"))
    except UnicodeError:
        named = False
    if not named or port not in range(1, 2**16):
        raise ValueError(f"{host!r}, port {port}: is no address of a broker")


async def _ended(task: asyncio.Task[None]) -> None:
    """End a task: told once is not enough, for a connection that breaks just then swallows it."""
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=_TELL_AGAIN_S)
    if not task.cancelled():
        task.result()


def _tell(heard: _Heard, result: _Result) -> None:
    if heard.full():
        heard.get_nowait()
    heard.put_nowait(result)


async def _first_answer(heard: _Heard) -> Decided:
    """Return what was decided; steps before it are of an earlier time that the same was sent."""
    while True:
        result = await heard.get()
        if result["step"] == "decided":
            return read(Decided, result)
        if result["step"] == "refused":
            raise _refusal(result)


def _refusal(result: _Result) -> PaylatchError:
    return error_of(problem_in(result.get("problem"), HTTPStatus.INTERNAL_SERVER_ERROR))


def _meaning(error: aiomqtt.MqttError, broker: _Broker) -> PaylatchError:
    code = error.rc if isinstance(error, aiomqtt.MqttCodeError) else None
    if getattr(code, "value", code) not in (_BAD_USER_OR_PASSWORD, _NOT_AUTHORIZED):
        return UnavailableError(f"{broker} is away: {error}")
    detail = f"{broker} knows no lender {broker.lender}, or another password of it"
    return NotAllowedError(
        Problem(type="about:blank", title="Unauthorized", status=HTTPStatus.UNAUTHORIZED, detail=detail)
    )
