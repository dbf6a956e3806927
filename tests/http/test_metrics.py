"""The metrics: all of them are documented, none names anybody, and they count what happens."""

import base64
import re
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from random import Random

import pytest

from broker_bridge.adapters.metrics.live import OTHER, Parts
from broker_bridge.adapters.metrics.metrics import AGES_KEPT_S
from broker_bridge.adapters.mqtt.intake import REFUSALS, Intake
from broker_bridge.adapters.mqtt.lenders_link import LendersLink
from broker_bridge.adapters.mqtt.link import Link
from broker_bridge.adapters.store.backlog import SqlBacklog
from broker_bridge.adapters.store.transaction import SharedTransaction
from broker_bridge.app.confirm import Judge
from broker_bridge.app.deliver import Deliverer
from broker_bridge.app.hear import Listener
from broker_bridge.app.outbox import Outbox
from broker_bridge.app.phones_log import PhonesLog
from broker_bridge.app.ports.store import StoreUnavailableError, Transaction
from broker_bridge.app.results import MAX_RESULTS_WAITING, Results
from broker_bridge.app.sent import Ack, MarkSent
from broker_bridge.domain.commands import Event
from lock_protocol.acceptance import DeviceStanding, accept_report
from lock_protocol.envelope import REPORTED, seal
from lock_protocol.keys import SigningKey
from lock_protocol.levels import Condition, Level, Result, Signals
from lock_protocol.messages import NO_HASH, Reported
from lock_protocol.refusals import Refusal
from tests.bridge_rig import ACME, DEVICE, KeptLog, Office, Work
from tests.broker.bridge_rig import TOPICS
from tests.conftest import new_sqlite
from tests.http.conftest import FOREIGN, IMEI, KEYS, NOWHERE, Api, overdue, payment, running_api
from tests.http.conftest import OTHER as OTHER_LENDER

ROOT = Path(__file__).parents[2]
_ROW = re.compile(r"^\| `(\w+)` \| (\w+) \|([^|]*)\|", re.MULTILINE)
_SAMPLE = re.compile(r"^(\w+?)(?:_bucket|_count|_sum)?(?:\{(.*)\})? [^ ]+$")
_SELECTOR = re.compile(r"\b(paylatch_\w+)\{(.*?)\}")
_MATCHER = re.compile(r'(\w+)=~?"([^"]*)"')
ALERTS = (ROOT / "deploy" / "prometheus" / "alerts.yml").read_text()
CATALOGUE = {
    name: (kind, set(re.findall(r"\w+", labels)))
    for name, kind, labels in _ROW.findall((ROOT / "docs" / "metrics.md").read_text())
}

WORD = Reported(
    lender=ACME,
    imei=IMEI,
    epoch=0,
    version=0,
    state_hash=NO_HASH,
    effective_level=Level.UNLOCKED,
    condition=Condition.NONE,
    result=Result.OBSERVED,
    about_epoch=0,
    about_version=0,
    about_hash=NO_HASH,
    detail="",
    applied_at=0,
    boot_count=1,
    sequence=1,
    signals=Signals(0),
)


def _broken(envelope: bytes) -> bytes:
    """The envelope with one bit of its signature flipped, behind which an empty delegation takes two bytes."""
    return envelope[:-3] + bytes([envelope[-3] ^ 1]) + envelope[-2:]


@dataclass
class Watched:
    """A bridge whose parts are real, and which never connects; its metrics are the API's."""

    api: Api
    log: KeptLog = field(default_factory=KeptLog)

    def __post_init__(self) -> None:
        store, office = self.api.store, Office(clock=self.api.clock)
        self.judge = Judge(office.queue, office.clock, PhonesLog(self.log, office.clock))
        self.deliverer = Deliverer(
            store=store.commits,
            states=store.outgoing,
            canaries=store.canaries,
            outbox=Outbox(window=2, lane_limit=10),
            topics=TOPICS,
            judge=self.judge,
            clock=office.clock,
            log=self.log,
            new_token=lambda: "token",
        )
        self.listener = Listener(store.commits, self.deliverer, self.judge)
        link = Link(NOWHERE, TOPICS, random=Random(1), log=self.log)  # noqa: S311 - never connects
        store.commits.on_committed(self.deliverer.publish)
        store.commits.on_commit(self.api.metrics.meters.committed)
        lenders = LendersLink(NOWHERE, TOPICS, random=Random(1), log=self.log)  # noqa: S311 - never connects
        self.results = Results(TOPICS, self.log)
        decide = partial(self.api.gateway.desk.decide, way="mqtt")
        self.intake = Intake(TOPICS, store.commands, decide, self.results, office.clock, self.log)
        parts = Parts(
            store=store,
            deliverer=self.deliverer,
            listener=self.listener,
            link=link,
            lenders=lenders,
            standby=self.api.gateway.standby,
            intake=self.intake,
            intake_refuses=REFUSALS,
            results=self.results,
            key_conflicts=self.api.gateway.key_conflicts,
        )
        self.api.metrics.watch(parts, version="1.2.3")

    async def prove(self) -> None:
        """Have the phone's newest command proven by its phone."""

        def act(tx: Transaction) -> None:
            phone = tx.phone(IMEI)
            assert phone is not None
            self.judge.settle(tx, phone, Event.APPLIED)

        await self.api.store.commits.commit(Work(act, [IMEI]))

    async def page(self) -> str:
        response = await self.api.of(None).get("/metrics")
        assert response.headers["content-type"].startswith("text/plain")
        return response.text

    async def values(self) -> dict[str, float]:
        """What the page says, by name and labels as they stand there."""
        lines = [line.rpartition(" ") for line in (await self.page()).splitlines() if not line.startswith("#")]
        return {name: float(value) for name, _, value in lines}


@pytest.fixture
def watched(api: Api) -> Watched:
    return Watched(api)


# --- the catalogue -------------------------------------------------------------------------------------------------


async def test_every_metric_is_documented_and_every_documented_one_is_there(watched: Watched) -> None:
    endings = {"counter": "_total", "info": "_info"}
    there = {one.name + endings.get(one.type, ""): one.type for one in watched.api.metrics.registry.collect()}
    assert there == {name: kind for name, (kind, _) in CATALOGUE.items()}


async def test_every_label_is_documented_and_every_documented_one_is_there(watched: Watched) -> None:
    await watched.api.decide(overdue())
    labels: dict[str, set[str]] = {}
    for line in (await watched.page()).splitlines():
        if sample := _SAMPLE.match(line):
            names = {name for name in re.findall(r'(\w+)="', sample[2] or "") if name != "le"}
            labels.setdefault(sample[1], set()).update(names)
    assert labels == {name: names for name, (_, names) in CATALOGUE.items()}


def test_every_metric_in_an_alert_is_documented() -> None:
    named = {re.sub(r"_(bucket|count|sum)$", "", name) for name in re.findall(r"\bpaylatch_\w+", ALERTS)}
    assert named
    assert named <= set(CATALOGUE)


async def test_every_label_value_in_an_alert_can_be_counted(watched: Watched) -> None:
    there = [name for name in await watched.values() if "{" in name]  # nothing has happened: these are all that can be
    selectors = _SELECTOR.findall(ALERTS)
    assert selectors
    for metric, labels in selectors:
        for label, values in _MATCHER.findall(labels):
            for value in values.split("|"):
                assert [one for one in there if one.startswith(f"{metric}{{") and f'{label}="{value}"' in one], value


@pytest.mark.parametrize(
    "forged",
    [
        seal(REPORTED, WORD, [SigningKey.from_seed(b"clone".ljust(32))]),
        seal(REPORTED, replace(WORD, imei=FOREIGN), [DEVICE]),
        _broken(seal(REPORTED, WORD, [DEVICE])),
    ],
    ids=["another-key", "another-phone", "broken-signature"],
)
def test_whoever_speaks_in_a_phones_name_is_alerted_to(forged: bytes) -> None:
    with pytest.raises(Refusal) as refused:
        accept_report(forged, DeviceStanding(imei=IMEI, device_key=DEVICE.public, sequence=0))
    assert refused.value.name in _alerted("PaylatchForgeries")


def test_an_equivocation_that_a_phone_reports_is_alerted_to() -> None:
    assert _alerted("PaylatchEquivocation") == {"Equivocation"}


def _alerted(alert: str) -> set[str]:
    """The values of the one label that an alert asks for."""
    (rule,) = re.findall(rf"alert: {alert}\n +expr: (.+)\n", ALERTS)
    ((_, values),) = _MATCHER.findall(rule)
    return set(values.split("|"))


async def test_no_metric_names_a_lender_a_phone_or_whatever_a_caller_makes_up(watched: Watched) -> None:
    await watched.api.decide(overdue())
    await watched.api.get(f"/v1/phones/{IMEI}")
    await watched.api.get("/invented")
    await watched.api.http.request("INVENTED", "/v1/phones")
    watched.listener.refusals["Invented"] += 1
    page = await watched.page()
    for name in (ACME, OTHER_LENDER, IMEI, FOREIGN, *KEYS.values()):
        assert name not in page
    assert "invented" not in page.lower()


# --- the page ------------------------------------------------------------------------------------------------------


async def test_the_metrics_need_no_key_and_can_be_taken_away(tmp_path: Path) -> None:
    async with running_api(new_sqlite(tmp_path / "paylatch.db"), tmp_path, show_metrics=False) as api:
        assert (await api.of(None).get("/metrics")).status_code == 404


async def test_only_the_metrics_that_are_named_are_shown(watched: Watched) -> None:
    named = {"paylatch_commands_total", "paylatch_outbox_depth"}
    response = await watched.api.of(None).get("/metrics", **{"name[]": [*named, "invented"]})
    assert {line.partition("{")[0] for line in response.text.splitlines() if not line.startswith("#")} == named
    assert not (await watched.api.of(None).get("/metrics", **{"name[]": "invented"})).text


async def test_the_metrics_are_shown_without_a_database_but_for_the_ages(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def gone(_: SqlBacklog) -> None:
        raise StoreUnavailableError("gone")

    monkeypatch.setattr(SqlBacklog, "read", gone)
    values = await watched.values()
    assert values['paylatch_outbox_depth{lane="opening"}'] == 0
    assert not [name for name in values if name.startswith(("paylatch_command_", "paylatch_scheduler_"))]


# --- what is counted -----------------------------------------------------------------------------------------------


async def test_queues_and_ages_are_told_by_lane(watched: Watched) -> None:
    await watched.api.decide(overdue())
    watched.api.clock.advance(40)
    values = await watched.values()
    assert values['paylatch_outbox_depth{lane="opening"}'] == 0
    assert values['paylatch_outbox_depth{lane="closing"}'] == 1
    assert values['paylatch_command_oldest_pending_seconds{lane="closing"}'] == 40
    assert values['paylatch_command_overdue_seconds{lane="closing"}'] == 40
    assert values['paylatch_command_overdue_seconds{lane="opening"}'] == 0


async def test_ages_are_asked_of_the_database_once_in_a_while(watched: Watched) -> None:
    await watched.values()
    await watched.api.decide(overdue())
    overdue_for = 'paylatch_command_overdue_seconds{lane="closing"}'
    watched.api.clock.advance(int(AGES_KEPT_S) - 1)
    assert (await watched.values())[overdue_for] == 0
    watched.api.clock.advance(1)
    assert (await watched.values())[overdue_for] == AGES_KEPT_S


async def test_a_published_command_is_pending_and_no_longer_due(watched: Watched) -> None:
    await watched.api.decide(overdue())
    phone = await watched.api.store.phones.one(ACME, IMEI)
    assert phone is not None
    await watched.api.store.commits.commit(MarkSent([Ack(IMEI, phone.desired.order, 1)], watched.api.clock))
    watched.api.clock.advance(40)
    values = await watched.values()
    assert values['paylatch_command_oldest_pending_seconds{lane="closing"}'] == 40
    assert values['paylatch_command_overdue_seconds{lane="closing"}'] == 0


async def test_the_unlock_clock_runs_from_the_payment_to_the_phones_word(watched: Watched) -> None:
    await watched.api.decide(overdue())
    await watched.prove()
    await watched.api.decide(payment())
    assert (await watched.values())["paylatch_unlocks_running"] == 1
    watched.api.clock.ticks += 0.75
    await watched.prove()
    values = await watched.values()
    assert (values["paylatch_unlock_seconds_count"], values["paylatch_unlock_seconds_sum"]) == (1, 0.75)
    assert values['paylatch_unlock_seconds_bucket{le="0.5"}'] == 0
    assert values['paylatch_unlock_seconds_bucket{le="1.0"}'] == 1
    assert values["paylatch_unlocks_running"] == 0


async def test_a_phone_that_proves_the_same_opening_twice_is_timed_once(watched: Watched) -> None:
    await watched.api.decide(overdue())
    await watched.api.decide(payment())
    await watched.prove()
    phone = await watched.api.store.phones.one(ACME, IMEI)
    assert phone is not None
    await watched.prove()
    await watched.api.store.commits.commit(MarkSent([Ack(IMEI, phone.desired.order, 1)], watched.api.clock))
    assert (await watched.values())["paylatch_unlock_seconds_count"] == 1


async def test_decisions_are_counted_by_way_type_and_effect(watched: Watched) -> None:
    await watched.api.decide(overdue(), overdue(), overdue("d2", imei=FOREIGN))
    values = await watched.values()
    for effect in ("applied", "repeated", "refused"):
        assert values[f'paylatch_decisions_total{{effect="{effect}",type="payment_overdue",way="http"}}'] == 1


async def test_requests_are_counted_by_route_and_status(watched: Watched) -> None:
    await watched.api.get(f"/v1/phones/{IMEI}")
    await watched.api.get(f"/v1/phones/{FOREIGN}")
    await watched.api.get("/invented")
    await watched.api.http.delete("/v1/decisions")
    values = await watched.values()
    counted = {
        ("GET", "/v1/phones/{imei}", 200),
        ("GET", "/v1/phones/{imei}", 404),
        ("GET", "other", 404),
        ("DELETE", "/v1/decisions", 405),
    }
    for method, route, status in counted:
        assert values[f'paylatch_http_requests_total{{method="{method}",route="{route}",status="{status}"}}'] == 1
    assert values['paylatch_http_request_seconds_count{method="GET",route="/v1/phones/{imei}"}'] == 2


async def test_commits_are_timed_and_those_that_fail_are_counted(watched: Watched) -> None:
    def broken(tx: Transaction) -> None:
        assert isinstance(tx, SharedTransaction)
        tx._connection.exec_driver_sql("no such statement")

    await watched.api.decide(overdue())
    with pytest.raises(StoreUnavailableError):
        await watched.api.store.commits.commit(Work(broken))
    values = await watched.values()
    assert (values["paylatch_commit_seconds_count"], values["paylatch_commit_jobs_sum"]) == (1, 1)
    assert (values["paylatch_commit_failures_total"], values["paylatch_commit_jobs_waiting"]) == (1, 0)


async def test_refusals_are_counted_by_the_names_of_the_protocol_and_the_rest_as_other(watched: Watched) -> None:
    watched.listener.refusals.update({"StaleSequence": 2, "Flood": 1, "Invented": 3, "NoneOfOurs": 4})
    values = await watched.values()
    assert values['paylatch_refusals_total{error="StaleSequence"}'] == 2
    assert values['paylatch_refusals_total{error="Flood"}'] == 1
    assert values['paylatch_refusals_total{error="BadSignature"}'] == 0
    assert values[f'paylatch_refusals_total{{error="{OTHER}"}}'] == 7


async def test_what_phones_refuse_is_counted_apart_from_what_the_bridge_refuses(watched: Watched) -> None:
    watched.listener.phone_refusals.update({"Equivocation": 2, "Invented": 3})
    values = await watched.values()
    assert values['paylatch_phone_refusals_total{error="Equivocation"}'] == 2
    assert values['paylatch_phone_refusals_total{error="RootNotNext"}'] == 0
    assert values[f'paylatch_phone_refusals_total{{error="{OTHER}"}}'] == 3
    assert 'paylatch_refusals_total{error="Equivocation"}' not in values


async def test_what_phones_hold_that_is_not_the_bridges_is_counted_by_what_shows_it(watched: Watched) -> None:
    watched.judge.signs_of_another["version_not_ours"] += 2
    values = await watched.values()
    assert values['paylatch_foreign_versions_total{sign="version_not_ours"}'] == 2
    assert values['paylatch_foreign_versions_total{sign="epoch_above_ours"}'] == 0


async def test_another_key_for_an_enrolled_phone_is_counted_and_on_its_timeline(watched: Watched) -> None:
    assert (await watched.values())["paylatch_device_key_conflicts_total"] == 0
    clone = base64.b64encode(SigningKey.from_seed(b"clone".ljust(32)).public).decode()
    assert (await watched.api.enrol(device_key=clone)).status_code == 409
    assert (await watched.values())["paylatch_device_key_conflicts_total"] == 1
    newest = (await watched.api.get(f"/v1/phones/{IMEI}/timeline")).json()["events"][0]
    assert newest["event"] == "device_key_conflict"


async def test_what_lenders_get_refused_over_mqtt_is_counted_by_its_problem(watched: Watched) -> None:
    watched.intake.refusals.update({"not-json": 2, "overloaded": 3, "none-of-ours": 4})
    values = await watched.values()
    assert values['paylatch_intake_refusals_total{problem="not-json"}'] == 2
    assert values['paylatch_intake_refusals_total{problem="overloaded"}'] == 3
    assert values['paylatch_intake_refusals_total{problem="unknown-phone"}'] == 0
    assert values[f'paylatch_intake_refusals_total{{problem="{OTHER}"}}'] == 4


async def test_results_that_no_lender_gets_are_counted(watched: Watched) -> None:
    for _ in range(MAX_RESULTS_WAITING + 3):
        watched.results.offer(ACME, b"{}")
    watched.results.refused += 1
    values = await watched.values()
    assert values['paylatch_results_lost_total{outcome="dropped"}'] == 3
    assert values['paylatch_results_lost_total{outcome="refused"}'] == 1


async def test_what_runs_is_told(watched: Watched) -> None:
    kind = watched.api.store.kind
    assert (await watched.values())[f'paylatch_build_info{{database="{kind}",version="1.2.3"}}'] == 1


async def test_a_bridge_that_stands_by_says_so(watched: Watched) -> None:
    assert (await watched.values())["paylatch_standing_by"] == 0
    watched.api.gateway.standby.standing_by = True
    assert (await watched.values())["paylatch_standing_by"] == 1


async def test_both_connections_to_the_broker_are_told_of(watched: Watched) -> None:
    values = await watched.values()
    for name in ("phones", "lenders"):
        assert values[f'paylatch_broker_connected{{of="{name}"}}'] == 0
        assert values[f'paylatch_broker_connections_total{{of="{name}"}}'] == 0
