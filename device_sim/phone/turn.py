"""One step in the making."""

from typing import Any, Generic, TypeVar

from lock_protocol.acceptance import TrustedClock
from lock_protocol.compiling import compile_copy, setters
from lock_protocol.messages import Notice

from device_sim.phone.effects import Apply, Effect, Happening, Observed
from device_sim.phone.events import Event
from device_sim.phone.memory import Memory
from device_sim.phone.phone import Phone

E_co = TypeVar("E_co", bound=Event, covariant=True)

_NO_NOTICE = Notice()
_OBSERVED = {happening: Observed(happening) for happening in Happening}

_copied_phone = compile_copy(Phone)
_copied_memory = compile_copy(Memory)
# A phone changes about ten times during a step, one thing at a time: it is copied once, and the copy is changed while
# nobody else has it.
_SET_IN_PHONE = setters(Phone)
_SET_IN_MEMORY = setters(Memory)


class Turn(Generic[E_co]):
    """The phone as it becomes during one event, and what it will have done. Lives inside one `step` only."""

    __slots__ = ("_own_memory", "effects", "event", "now", "phone")

    def __init__(self, phone: Phone, event: E_co) -> None:
        self.phone = _copied_phone(phone)
        self.event = event
        self.effects: list[Effect] = []
        self.now = phone.clock.now(event.monotonic)
        """The phone's trusted time."""
        self._own_memory: Memory | None = None

    def become(self, **changes: Any) -> None:
        """Change the phone."""
        for name, value in changes.items():
            _SET_IN_PHONE[name](self.phone, value)
        if "clock" in changes:
            self.now = self.phone.clock.now(self.event.monotonic)

    def remember(self, **changes: Any) -> None:
        """Change what the phone keeps; the step then persists it before anything else."""
        memory = self.phone.memory
        if memory is not self._own_memory:
            memory = self._own_memory = _copied_memory(memory)
            self.become(memory=memory)
        for name, value in changes.items():
            _SET_IN_MEMORY[name](memory, value)

    def start_over(self, phone: Phone) -> None:
        """Be another phone: what was changed so far is lost."""
        self.phone = _copied_phone(phone)

    def set_time(self, trusted_now: int) -> None:
        """Set the phone's trusted time. The clock keeps its fraction of a second when the time is right already."""
        if trusted_now != self.now:
            self.become(clock=TrustedClock(trusted_now, self.event.monotonic))

    def do(self, effect: Effect) -> None:
        """Have something done."""
        self.effects.append(effect)

    def observe(self, happening: Happening, refusal: str = "") -> None:
        """Have something counted."""
        self.do(Observed(happening, refusal) if refusal else _OBSERVED[happening])

    def apply(self) -> None:
        """Apply what is effective now, also when it was applied before."""
        level, condition = self.phone.effective(self.now)
        state = self.phone.memory.state
        # What the lender wrote belongs to the level that the lender asked for, and to no other.
        notice = state.notice if state is not None and state.level is level else _NO_NOTICE
        self.do(Apply(level=level, condition=condition, notice=notice))
        self.become(shown=(level, condition))

    def apply_changes(self) -> bool:
        """Apply what is effective now if it is not what is shown; return whether it was not."""
        changed = self.phone.effective(self.now) != self.phone.shown
        if changed:
            self.apply()
        return changed
