"""What happens in a month: decisions, outages, resets and an attack; then everything comes to rest and is audited."""

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, zip_longest
from random import Random

from device_sim.fleet.control_messages import TransitionDump
from lock_protocol.imei import Imei
from lock_protocol.levels import Level
from paylatch.demo.audit import Row, compare, verify_retained
from paylatch.demo.intruder import Intruder
from paylatch.demo.lender import decide_all
from paylatch.demo.outages import BrokerOutages
from paylatch.demo.payments import opened_after, report_payments
from paylatch.demo.plan import MonthPlan, Outage, choose_resets
from paylatch.demo.result import Violation
from paylatch.demo.retained import RetainedStates
from paylatch.demo.settling import Settling
from paylatch.demo.tally import Tally
from paylatch.demo.view import View
from paylatch.facts import Borrower, Fact
from paylatch.local.stage import Stage

DEADLINE_S = 30.0
"""How long anything may take to come to rest. Whatever differs then is a violation."""

_QUIET_SHARE = 0.7
"""How many payments come outside the run of overdue accounts, as most of a month's do."""

_EARLY_SHARE = 0.5
"""How many overdue accounts are reported before the outage, where there is one."""


class Story:
    """Plays months on a stage.

    Args:
        stage: everything that runs.
        borrowers: all of them, in the histories' order.
        dice: choose who is reset.
        tally: counts what happens.
        view: shows what happens.
    """

    def __init__(self, stage: Stage, borrowers: Sequence[Borrower], dice: Random, tally: Tally, view: View) -> None:
        self._stage = stage
        self._borrowers = borrowers
        self._imeis = [borrower.imei for borrower in borrowers]
        self._dice = dice
        self._tally = tally
        self._view = view
        self._outages = BrokerOutages(stage.broker)
        self._intruder = Intruder(stage.bridge_access, stage.topics, stage.fleet)
        self._states = RetainedStates(stage.auditor_access, stage.topics)
        self._settling = Settling(stage.bridge, stage.fleet, self._states)

    async def play(self, month: MonthPlan, required: Sequence[str]) -> list[Row]:
        """Play one month and return its audit.

        Args:
            month: what is done.
            required: what each phone must be at the end, by the oracle, in the borrowers' order.
        """
        levels = {imei: Level[name.upper()] for imei, name in zip(self._imeis, required, strict=True)}
        await self._intruder.overhear(self._imeis)
        await self._decide(month)
        await self._settling.wait(levels, DEADLINE_S)
        locked = [imei for imei, level in levels.items() if level is Level.LOCKED]
        await self._reset(month, choose_resets(locked, self._dice))
        await self._attack(month, locked)
        self._step(month, "waiting until everything is at rest")
        await self._settling.wait(levels, DEADLINE_S)
        return await self._audit(month, required)

    # --- decisions ---

    async def _decide(self, month: MonthPlan) -> None:
        """Report the month's facts, a part of them to phones that are cut off and to a broker that is dead."""
        early, late = _split(month.overdues, _EARLY_SHARE)
        self._step(month, f"{month.decisions} decisions")
        if Outage.OLD in month.outages:
            await self._outages.remember()
        await self._pay_while_cut(month.cures_while_cut)
        await self._pay_online(month, early)
        await self._reconnect(month)
        await self._go_through_outages(month, late)
        await decide_all(self._stage.bridge, month.settlements)
        self._tally.decisions += month.decisions

    async def _pay_while_cut(self, payments: Sequence[Fact]) -> None:
        await self._stage.fleet.cut(payment.imei for payment in payments)
        await report_payments(self._stage.bridge, payments)

    async def _pay_online(self, month: MonthPlan, overdues: Sequence[Fact]) -> None:
        """Report payments one by one: most while nothing else happens, the rest amid the lists of overdue accounts."""
        quiet, busy = _split(month.cures, _QUIET_SHARE)
        await self._measure_openings(month, await report_payments(self._stage.bridge, quiet))
        async with asyncio.TaskGroup() as tasks:
            paying = tasks.create_task(report_payments(self._stage.bridge, busy), name="payments")
            tasks.create_task(self._report_overdues(month.partials, overdues), name="overdues")
        await self._measure_openings(month, paying.result())

    async def _measure_openings(self, month: MonthPlan, sent: Mapping[Imei, int]) -> None:
        opened = await opened_after(self._stage.fleet, sent, DEADLINE_S)
        self._tally.unlock_ns.extend(opened.values())
        self._blame(month, dict.fromkeys(sent.keys() - opened, f"did not open within {DEADLINE_S:g} s of its payment"))

    async def _report_overdues(self, partials: Sequence[Fact], overdues: Sequence[Fact]) -> None:
        # A partial payment comes before the figure that is left after it.
        await report_payments(self._stage.bridge, partials)
        await decide_all(self._stage.bridge, overdues)

    async def _reconnect(self, month: MonthPlan) -> None:
        """Let the phones come back whose payment was reported while they were cut off."""
        moment = time.monotonic_ns()
        cut = {payment.imei: moment for payment in month.cures_while_cut}
        await self._stage.fleet.reconnect(cut)
        opened = await opened_after(self._stage.fleet, cut, DEADLINE_S)
        self._tally.reconnect_open_ns.extend(opened.values())
        self._tally.opened_after_offline_payment += len(opened)
        self._blame(month, dict.fromkeys(cut.keys() - opened, f"did not open within {DEADLINE_S:g} s of its reconnect"))

    async def _go_through_outages(self, month: MonthPlan, overdues: Sequence[Fact]) -> None:
        """Report what is left; where there is an outage, while the broker dies and comes back."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(decide_all(self._stage.bridge, overdues), name="overdues")
            tasks.create_task(report_payments(self._stage.bridge, month.cures_during_outage), name="payments")
            tasks.create_task(self._strike(month), name="outages")

    async def _strike(self, month: MonthPlan) -> None:
        for kind in month.outages:
            self._step(month, f"killing the broker; it comes back with {kind.told}")
            await self._outages.strike(kind)
            self._tally.broker_restarts += 1

    # --- resets ---

    async def _reset(self, month: MonthPlan, imeis: Sequence[Imei]) -> None:
        """Factory-reset locked phones: they forget everything, and must lock again."""
        if not imeis:
            return
        self._step(month, f"factory-resetting {len(imeis)} locked phones")
        moment = time.monotonic_ns()
        await self._stage.fleet.factory_reset(imeis)
        await self._stage.fleet.await_levels(dict.fromkeys(imeis, Level.LOCKED), DEADLINE_S)
        changes = await self._stage.fleet.transitions(imeis)
        relocked = {imei for imei in imeis if _relocked(changes[imei], moment)}
        self._tally.resets += len(imeis)
        self._tally.relocked += len(relocked)
        self._blame(month, dict.fromkeys(set(imeis) - relocked, "did not lock again after a factory reset"))

    # --- the intruder ---

    async def _attack(self, month: MonthPlan, locked: Sequence[Imei]) -> None:
        """Let the intruder attack locked and other phones alike."""
        others = [imei for imei in self._imeis if imei not in set(locked)]
        pairs = chain.from_iterable(zip_longest(locked, others))
        victims = self._intruder.victims([imei for imei in pairs if imei is not None])
        self._step(month, f"an intruder attacks {len(victims)} phones")
        attack = await self._intruder.attack(victims, DEADLINE_S)
        self._tally.take_attack(attack)
        self._blame(month, dict.fromkeys(attack.changed, "changed its applied state under attack"))
        self._blame(month, {imei: f"has not refused: {what}" for imei, what in attack.unanswered.items()})

    # --- the audit ---

    async def _audit(self, month: MonthPlan, required: Sequence[str]) -> list[Row]:
        """Ask the phones, the bridge and the broker what each phone is, and lay it beside what it must be."""
        applied = {phone.imei: phone.level for phone in await self._stage.fleet.dump()}
        bridge = {phone.imei: phone async for phone in self._stage.bridge.phones()}
        messages = await self._states.read(self._imeis, DEADLINE_S)
        now = int(time.time())
        retained = {imei: verify_retained(imei, messages.get(imei), self._stage.root, now) for imei in self._imeis}
        rows = compare(month.name, self._borrowers, required, applied, bridge, retained)
        self._view.month(month.name, rows, self._tally.take_month(rows))
        return rows

    def _blame(self, month: MonthPlan, differences: Mapping[Imei, str]) -> None:
        for imei, differs in sorted(differences.items()):
            violation = Violation(imei=imei, month=month.name, differs=differs)
            self._tally.violations.append(violation)
            self._view.violation(violation)

    def _step(self, month: MonthPlan, text: str) -> None:
        self._view.step(f"{month.name}: {text}")


def _split(facts: Sequence[Fact], share: float) -> tuple[Sequence[Fact], Sequence[Fact]]:
    """Return the first `share` of the facts, and the rest."""
    first = round(len(facts) * share)
    return facts[:first], facts[first:]


def _relocked(changes: Iterable[TransitionDump], since: int) -> bool:
    """Return whether a phone, after its reset, first held no state and was not locked, and then was."""
    after = [change for change in changes if change.at_ns >= since]
    lost = bool(after) and after[0].version == 0 and after[0].level is not Level.LOCKED
    return lost and after[-1].level is Level.LOCKED
