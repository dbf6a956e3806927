"""When to say hello: on every connect, when asked to, now and then, and again until it is answered."""

from lock_protocol.compiling import compile_replace
from lock_protocol.levels import Level

from device_sim.phone.events import AskingEvent, Event
from device_sim.phone.phone import Dialogue, Stage
from device_sim.phone.turn import Turn
from device_sim.phone.words import say_hello

AWAIT_STATE_S = 1
FIRST_REPEAT_S = 10
LAST_REPEAT_S = 300
CLOSED_EVERY_S = 15 * 60
OPEN_EVERY_S = 6 * 3600

# Jitter makes a repeat up to half as late again, and a regular hello up to a tenth earlier: the design's figures stay
# what they are, the least and the most.
_REPEAT_SPREAD = 0.5
_REGULAR_SPREAD = 0.1

_changed = compile_replace(Dialogue)


def await_state(turn: Turn[AskingEvent]) -> None:
    """Begin the dialogue of a new connection. It may bring a newer state at once: hello then tells of that one."""
    turn.become(dialogue=Dialogue(due=turn.event.monotonic + AWAIT_STATE_S))


def greet(turn: Turn[AskingEvent]) -> None:
    """Say the connection's first hello, unless it has been said."""
    if not turn.phone.dialogue.greeted:
        _ask(turn)


def ask_now(turn: Turn[AskingEvent]) -> None:
    """Say hello without waiting: the open question once more, or a new one. Offline, the next connection will."""
    if turn.phone.stage is Stage.ONLINE:
        _ask(turn)


def stop_asking(turn: Turn[Event]) -> None:
    """Forget the question: the connection that would bring the answer is gone."""
    turn.become(dialogue=Dialogue())


def ask_if_due(turn: Turn[AskingEvent]) -> None:
    """Say hello if it is time to, for the first time or once more."""
    if turn.event.monotonic >= turn.phone.dialogue.due:
        _ask(turn)


def ask_about_news(turn: Turn[AskingEvent]) -> None:
    """Ask whether an unconfirmed state that just came is the newest, unless a question is open already."""
    if not turn.phone.memory.confirmed and turn.phone.dialogue.nonce is None:
        turn.become(dialogue=Dialogue())
        _ask(turn)


def note_confirmed(turn: Turn[AskingEvent]) -> None:
    """Be satisfied until the next regular hello."""
    every = _interval(turn) * (1 - _REGULAR_SPREAD * turn.event.jitter)
    turn.become(dialogue=Dialogue(greeted=True, due=turn.event.monotonic + every))


def note_disappointed(turn: Turn[AskingEvent]) -> None:
    """Ask anew: what was answered is not what is held. At once the first time, then as patiently as if unanswered."""
    dialogue = _changed(turn.phone.dialogue, nonce=None, disappointed=True)
    first = not turn.phone.dialogue.disappointed
    turn.become(dialogue=dialogue)
    if first:
        _ask(turn)


def ask_sooner_when_closed(turn: Turn[Event]) -> None:
    """Bring the next regular hello forward when the phone has become one that asks more often."""
    if turn.phone.stage is Stage.ONLINE:
        due = turn.event.monotonic + _interval(turn)
        if due < turn.phone.dialogue.due:
            turn.become(dialogue=_changed(turn.phone.dialogue, due=due))


def _ask(turn: Turn[AskingEvent]) -> None:
    dialogue = turn.phone.dialogue
    nonce = dialogue.nonce or turn.event.nonce
    # 2**5 is past the longest wait already; without the bound a week without answers would compute huge numbers.
    wait = min(FIRST_REPEAT_S * 2 ** min(dialogue.asked, 5), LAST_REPEAT_S) * (1 + _REPEAT_SPREAD * turn.event.jitter)
    due = turn.event.monotonic + wait
    turn.become(dialogue=_changed(dialogue, greeted=True, nonce=nonce, asked=dialogue.asked + 1, due=due))
    say_hello(turn, nonce)


def _interval(turn: Turn[Event]) -> float:
    level, _ = turn.phone.effective(turn.now)
    return CLOSED_EVERY_S if Level.REMINDER <= level <= Level.LOCKED else OPEN_EVERY_S
