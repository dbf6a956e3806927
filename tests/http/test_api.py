"""Who may do what, and what the answers are."""

import asyncio
import base64

import pytest

from broker_bridge.adapters.lender_api.decisions import decision_of
from lock_protocol.keys import SigningKey
from tests.bridge_rig import ACME, CREDENTIAL
from tests.http.conftest import DEVICE_KEY, FOREIGN, IMEI, KEYS, OTHER, SECOND, Api, overdue, payment, problem
from tests.store.test_commit import while_held_up

OTHER_KEY = base64.b64encode(SigningKey.from_seed(b"another device's seed, 32 bytes.").public).decode()

# --- who -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", [None, "", "pl_wrong", "pl_acme2", "PL_ACME"])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/phones"),
        ("GET", "/v1/phones"),
        ("GET", f"/v1/phones/{IMEI}"),
        ("POST", "/v1/decisions"),
        ("GET", "/v1/commands/cmd_1"),
    ],
)
async def test_nobody_gets_in_without_a_valid_key(api: Api, key: str | None, method: str, path: str) -> None:
    response = await api.http.request(method, path, headers=api.of(key).headers)
    assert problem(response) == (401, "unauthorized")
    assert response.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("header", ["pl_acme", "Basic pl_acme", "Bearer", "Bearer pl_acme pl_acme"])
async def test_a_key_in_another_shape_is_no_key(api: Api, header: str) -> None:
    response = await api.http.get("/v1/phones", headers={"Authorization": header})
    assert problem(response) == (401, "unauthorized")


async def test_another_lenders_phone_looks_like_one_that_does_not_exist(api: Api) -> None:
    assert problem(await api.get(f"/v1/phones/{FOREIGN}")) == (404, "unknown-phone")
    assert problem(await api.get(f"/v1/phones/{SECOND}")) == (404, "unknown-phone")


async def test_another_lenders_command_looks_like_one_that_does_not_exist(api: Api) -> None:
    theirs = (await api.of(KEYS[OTHER]).get(f"/v1/phones/{FOREIGN}")).json()["desired"]["command_id"]
    assert problem(await api.get(f"/v1/commands/{theirs}")) == (404, "unknown-command")
    assert problem(await api.get("/v1/commands/cmd_0")) == (404, "unknown-command")


async def test_a_decision_about_another_lenders_phone_changes_nothing(api: Api) -> None:
    assert problem(await api.decide(overdue(imei=FOREIGN))) == (404, "unknown-phone")
    assert (await api.of(KEYS[OTHER]).get(f"/v1/phones/{FOREIGN}")).json()["desired"]["level"] == "unlocked"


async def test_lenders_may_use_the_same_decision_id(api: Api) -> None:
    assert (await api.decide(overdue("same"))).status_code == 200
    assert (await api.of(KEYS[OTHER]).decide(overdue("same", imei=FOREIGN))).json()["repeated"] is False


# --- enrolment -----------------------------------------------------------------------------------------------------


async def test_an_enrolled_phone_is_told_all_that_it_needs(api: Api) -> None:
    response = await api.enrol(SECOND)
    answer = response.json()
    assert response.status_code == 201
    assert (answer["imei"], answer["status"], answer["desired"]["level"]) == (SECOND, "pending", "unlocked")
    assert answer["reported"] is None
    mqtt = answer["mqtt"]
    assert (mqtt["host"], mqtt["port"], mqtt["username"]) == ("mqtt.example", 8883, SECOND)
    assert (mqtt["tls"], mqtt["ca"]) == (True, "the CA's certificate")
    assert len(base64.b64decode(answer["root"])) > 100
    assert f"{SECOND}:$7$" in api.passwords.read_text()
    assert mqtt["password"] not in api.passwords.read_text()


async def test_enrolling_the_same_phone_again_gives_a_new_credential_and_changes_nothing_else(api: Api) -> None:
    await api.decide(overdue())
    before = (await api.get(f"/v1/phones/{IMEI}")).json()
    first, second = (await api.enrol()).json(), (await api.enrol()).json()
    assert first["mqtt"]["password"] != second["mqtt"]["password"]
    assert (await api.get(f"/v1/phones/{IMEI}")).json() == before


@pytest.mark.parametrize("changed", [{"device_key": OTHER_KEY}, {"loan_id": "another"}], ids=["key", "loan"])
async def test_an_imei_that_is_bound_is_not_bound_to_something_else(api: Api, changed: dict[str, str]) -> None:
    assert problem(await api.enrol(**changed)) == (409, "enrolment-conflict")


async def test_an_imei_of_another_lender_is_refused_with_the_same_words(api: Api) -> None:
    theirs, ours = await api.enrol(FOREIGN), await api.enrol(IMEI, loan_id="another")
    assert problem(theirs) == (409, "enrolment-conflict")
    assert theirs.json()["detail"].replace(FOREIGN, "") == ours.json()["detail"].replace(IMEI, "")


@pytest.mark.parametrize(
    "device_key",
    [
        "",
        "not base64!",
        base64.b64encode(b"x" * 31).decode(),
        base64.b64encode(b"x" * 33).decode(),
        base64.b64encode(bytes(32)).decode(),  # a point of small order
        7,
        None,
        DEVICE_KEY + "\n",
    ],
)
async def test_a_key_that_is_none_is_refused(api: Api, device_key: object) -> None:
    response = await api.enrol(SECOND, device_key=device_key)
    assert problem(response) == (422, "invalid-body")
    assert "device_key" in response.json()["detail"]


async def test_an_overdue_figure_that_is_dated_ahead_is_refused_and_a_payment_never_is(api: Api) -> None:
    await api.enrol()
    assert problem(await api.decide(overdue("ahead", occurred_at="2031-01-01T00:00:00Z"))) == (422, "from-the-future")
    assert (await api.decide(overdue("now"))).json()["level"] == "locked"
    assert (await api.decide(payment(occurred_at="2031-01-01T00:00:00Z"))).json()["level"] == "unlocked"


# --- decisions -----------------------------------------------------------------------------------------------------


async def test_a_decision_is_answered_with_what_follows_from_it(api: Api) -> None:
    answer = (await api.decide(overdue())).json()
    command = (await api.get(f"/v1/commands/{answer['command_id']}")).json()
    assert (answer["effect"], answer["level"], answer["repeated"]) == ("applied", "locked", False)
    assert (command["status"], command["pending"], command["level"], command["version"]) == (
        "queued",
        True,
        "locked",
        2,
    )
    assert (command["decision_id"], command["reason"], command["sent_at"]) == ("d1", "overdue", None)


async def test_the_same_decision_again_gets_the_same_answer(api: Api) -> None:
    first, second = (await api.decide(overdue())).json(), (await api.decide(overdue())).json()
    assert second == first | {"repeated": True}


async def test_the_same_decision_in_other_words_is_the_same_decision(api: Api) -> None:
    first = (await api.decide(overdue())).json()
    second = (await api.decide(overdue(occurred_at="2023-01-01T08:00:00+08:00"))).json()
    assert second == first | {"repeated": True}


async def test_another_decision_under_the_same_id_is_refused(api: Api) -> None:
    await api.decide(overdue())
    assert problem(await api.decide(overdue(days_overdue=91))) == (422, "decision-conflict")


async def test_a_decision_sent_twice_at_once_is_taken_once(api: Api) -> None:
    answers = await asyncio.gather(*(api.decide(overdue()) for _ in range(10)))
    assert sorted(one.json()["repeated"] for one in answers) == [False] + [True] * 9
    assert len({one.json()["command_id"] for one in answers}) == 1
    assert (await api.get(f"/v1/phones/{IMEI}")).json()["desired"]["version"] == 2


async def test_a_decision_that_changes_nothing_has_no_command(api: Api) -> None:
    assert (await api.decide(payment())).json()["command_id"] is not None, "the reason changes from enrolled to paid"
    answer = (await api.decide(payment("p2", occurred_at="2023-01-03T00:00:00Z"))).json()
    assert (answer["effect"], answer["level"], answer["command_id"]) == ("applied", "unlocked", None)


async def test_a_list_is_answered_item_by_item_in_order(api: Api) -> None:
    response = await api.decide(
        overdue("a"), overdue("b", imei=SECOND), overdue("c", days_overdue=-1), "nonsense", payment("d"), overdue("a")
    )
    results = response.json()["results"]
    assert response.status_code == 200
    assert [one["status"] for one in results] == [200, 404, 422, 422, 200, 200]
    assert [one["decision_id"] for one in results if one["status"] == 200] == ["a", "d", "a"]
    assert results[5]["repeated"] is True
    assert results[1]["problem"]["type"] == "urn:paylatch:problem:unknown-phone"
    assert "days_overdue" in results[2]["problem"]["detail"]


async def test_a_payment_goes_before_the_overdue_figures_that_wait_for_the_database(api: Api) -> None:
    taken: list[str] = []

    async def take(body: dict[str, object]) -> None:
        taken.append((await api.gateway.desk.decide(decision_of(body, ACME), way="http")).decision_id)

    await while_held_up(api.store, *(take(overdue(f"d{number}")) for number in range(3)), take(payment()))
    assert taken == ["p1", "d0", "d1", "d2"]


async def test_a_phone_locked_and_paid_for_in_one_list_ends_open(api: Api) -> None:
    await api.decide(overdue("a"), payment("b"))
    assert (await api.get(f"/v1/phones/{IMEI}")).json()["desired"]["level"] == "unlocked"


async def test_an_empty_list_is_answered_with_no_results(api: Api) -> None:
    assert (await api.post("/v1/decisions", [])).json() == {"results": []}


async def test_a_thousand_decisions_fit_in_one_list_and_no_more(api: Api) -> None:
    thousand = [overdue(f"d{number}", occurred_at=f"2023-01-01T00:00:00.{number:03}Z") for number in range(1000)]
    results = (await api.post("/v1/decisions", thousand)).json()["results"]
    assert {one["status"] for one in results} == {200}
    assert problem(await api.post("/v1/decisions", [*thousand, overdue("more")])) == (422, "too-many")


async def test_moments_a_millisecond_apart_stay_apart(api: Api) -> None:
    await api.decide(payment(occurred_at="2023-01-01T00:00:00.001Z"))
    assert (await api.decide(overdue("same", occurred_at="2023-01-01T00:00:00.001Z"))).json()["effect"] == "covered"
    assert (await api.decide(overdue("later", occurred_at="2023-01-01T00:00:00.002Z"))).json()["effect"] == "applied"


async def test_a_loan_that_is_settled_stays_settled(api: Api) -> None:
    settled = {"decision_id": "s", "type": "loan_settled", "imei": IMEI, "occurred_at": "2023-01-01T00:00:00Z"}
    assert (await api.decide(settled)).json()["level"] == "released"
    late = (await api.decide(overdue(occurred_at="2023-02-01T00:00:00Z"))).json()
    assert (late["effect"], late["level"], late["command_id"]) == ("already_settled", "released", None)


async def test_a_lock_that_must_not_be_signed_now_is_to_be_tried_again(api: Api) -> None:
    api.clock.wall -= 3600
    response = await api.decide(overdue())
    assert problem(response) == (503, "clock-suspect")
    assert response.headers["retry-after"] == "30"
    api.clock.wall += 3600
    assert (await api.decide(overdue())).json()["repeated"] is False


async def test_a_link_to_a_host_that_the_delegation_does_not_name_is_refused(api: Api) -> None:
    assert problem(await api.decide(overdue(pay_url="https://evil.example/pay"))) == (422, "link-not-delegated")
    assert (await api.decide(overdue(pay_url="https://pay.example/1"))).status_code == 200


# --- lists ---------------------------------------------------------------------------------------------------------


async def test_phones_come_in_pages(api: Api) -> None:
    await api.enrol(SECOND)
    first = (await api.get("/v1/phones", page_size=1)).json()
    second = (await api.get("/v1/phones", page_size=1, page_token=first["next_page_token"])).json()
    assert [one["imei"] for one in (*first["phones"], *second["phones"])] == sorted([IMEI, SECOND])
    assert second["next_page_token"] is None


@pytest.mark.parametrize("query", [{"page_size": 0}, {"page_size": -1}, {"page_size": 501}, {"page_size": "all"}])
async def test_a_page_of_an_impossible_size_is_refused(api: Api, query: dict[str, object]) -> None:
    response = await api.get("/v1/phones", **query)
    assert problem(response) == (422, "invalid-query")
    assert "page_size" in response.json()["detail"]


async def test_secrets_are_shown_once(api: Api) -> None:
    shown = (await api.get("/v1/phones")).text + (await api.get(f"/v1/phones/{IMEI}")).text
    assert "mqtt" not in shown
    assert "credential" not in shown
    assert CREDENTIAL[:4] not in shown


# --- errors of the framework's own, health -------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/v1", "/v2/phones", "/docs/x", "/openapi", "/v1/phones/x/y"])
async def test_a_path_that_is_not_there_is_a_problem_too(api: Api, path: str) -> None:
    assert problem(await api.get(path)) == (404, "not-found")


async def test_a_method_that_is_not_there_says_which_are(api: Api) -> None:
    for path, allowed in ((f"/v1/phones/{IMEI}", "GET"), ("/v1/phones", "GET, POST")):
        response = await api.http.delete(path, headers=api.headers)
        assert problem(response) == (405, "method-not-allowed")
        assert response.headers["allow"] == allowed


async def test_it_lives(api: Api) -> None:
    response = await api.of(None).get("/livez")
    assert (response.status_code, response.json()) == (200, {"status": "ok"})


async def test_it_is_not_ready_while_the_broker_is_away(api: Api) -> None:
    response = await api.of(None).get("/readyz")
    assert (response.status_code, response.json()) == (503, {"database": "ok", "broker": "disconnected"})


async def test_it_is_not_ready_while_another_bridge_has_the_broker(api: Api) -> None:
    api.gateway.standby.standing_by = True
    response = await api.of(None).get("/readyz")
    assert (response.status_code, response.json()) == (503, {"database": "ok", "broker": "standby"})


async def test_decisions_are_taken_while_the_broker_is_away(api: Api) -> None:
    assert (await api.decide(overdue())).status_code == 200
