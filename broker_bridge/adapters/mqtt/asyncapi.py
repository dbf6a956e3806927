"""The AsyncAPI document of the MQTT side: `docs/asyncapi.yaml` as data, with the decisions' schemas from their models.

The operations are the bridge's: what it receives, lenders and phones send, and the other way round.
"""

from collections.abc import Mapping
from typing import Any, Final

from broker_bridge.adapters.lender_api.decisions import DECISION_BODIES, MAX_LIST
from broker_bridge.domain.commands import Status
from broker_bridge.domain.gates import GateCondition
from broker_bridge.domain.loans import Effect
from lock_protocol.levels import Level, Reason
from lock_protocol.topics import DEFAULT_PREFIX

Schema = dict[str, Any]

_DESCRIPTION: Final = (
    "What lenders publish and hear, and, in outline, what phones do. docs/mqtt.md tells the same for people, with "
    "commands to try; docs/protocol.md holds everything about phones' messages. Topics stand under a configurable "
    f"prefix, {DEFAULT_PREFIX} by default."
)
_LENDER: Final[Schema] = {
    "lender": {"description": "The lender's name (3 to 32 of a-z, 0-9 and '-'): its username at the broker."}
}
_PHONE: Final[Schema] = {"imei": {"description": "The phone's IMEI: its username and client id at the broker."}}


def asyncapi(version: str) -> Schema:
    """Return the document of this version."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Paylatch over MQTT",
            "version": version,
            "description": _DESCRIPTION,
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": _servers(),
        "channels": _channels(),
        "operations": _operations(),
        "components": {
            "messages": _messages(),
            "schemas": _schemas(),
            "securitySchemes": {"password": {"type": "userPassword", "description": "Nobody is anonymous."}},
        },
    }


def _servers() -> Schema:
    mqtt = {"protocol": "mqtt", "security": [{"$ref": "#/components/securitySchemes/password"}]}
    return {
        "services": {
            "host": "127.0.0.1:1884",
            **mqtt,
            "description": "For lenders, the bridge and auditors. MQTT 3.1.1 or 5; QoS 1 at most. A lender's password "
            "is made by `paylatch lender mqtt-password`.",
        },
        "phones": {
            "host": "127.0.0.1:1883",
            **mqtt,
            "description": "For phones. MQTT 5; the client id is the username, which is the IMEI.",
        },
    }


def _channels() -> Schema:
    return {
        "decisions": _channel(
            "lenders/{lender}/decisions",
            "A lender's decisions: one, or a list; at most 16,384 bytes. Only that lender may write here. The broker's "
            "acknowledgement proves nothing; the result does.",
            ("decision", "decisionList"),
            _LENDER,
        ),
        "results": _channel(
            "lenders/{lender}/results",
            "What became of them. Only that lender may read here. Nothing is kept: a lender that has heard neither "
            "`decided` nor `refused` sends its decision again, unchanged.",
            ("decided", "refused", "step"),
            _LENDER,
        ),
        "desired": _channel("phones/{imei}/desired", "Retained: the newest.", ("desired",), _PHONE, "phones"),
        "fresh": _channel("phones/{imei}/fresh", "The answer to a hello.", ("fresh",), _PHONE, "phones"),
        "hello": _channel("phones/{imei}/hello", "A phone asks for its newest state.", ("hello",), _PHONE, "phones"),
        "reported": _channel("phones/{imei}/reported", "What a phone is.", ("reported",), _PHONE, "phones"),
        "roots": _channel(
            "roots/{version}",
            "Retained: the chain of roots.",
            ("root",),
            {"version": {"description": "The root's number, from 1."}},
            "phones",
        ),
        "status": _channel("bridge/status", "Retained: whether the bridge is there. For auditors.", ("status",), {}),
    }


def _channel(
    address: str, description: str, messages: tuple[str, ...], parameters: Schema, server: str = "services"
) -> Schema:
    channel: Schema = {
        "address": f"{DEFAULT_PREFIX}/{address}",
        "description": description,
        "servers": [{"$ref": f"#/servers/{server}"}],
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
    }
    return channel | ({"parameters": parameters} if parameters else {})


def _operations() -> Schema:
    return {
        "takeDecisions": _operation("receive", "decisions", "Take a lender's decisions, whose results follow.")
        | {"reply": {"channel": {"$ref": "#/channels/results"}}},
        "tellResults": _operation(
            "send", "results", "Tell a lender what became of its decisions, each step after it is committed."
        ),
        "orderState": _operation("send", "desired", "Order what a phone has to be.", retain=True),
        "confirmState": _operation("send", "fresh", "Confirm that what a phone holds is the newest."),
        "hearHello": _operation("receive", "hello", "Hear a phone ask."),
        "hearReport": _operation("receive", "reported", "Hear what a phone is."),
        "publishRoots": _operation("send", "roots", "Publish the roots that phones follow.", retain=True),
        "tellStatus": _operation(
            "send", "status", "Tell that the bridge is there; its last will tells the end.", retain=True
        ),
    }


def _operation(action: str, channel: str, summary: str, *, retain: bool = False) -> Schema:
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{channel}"},
        "summary": summary,
        "bindings": {"mqtt": {"qos": 1, "retain": retain, "bindingVersion": "0.2.0"}},
    }


def _messages() -> Schema:
    phones = {
        "desired": "The signed state that a phone has to take.",
        "fresh": "Confirms the newest state, once, for one hello.",
        "hello": "A phone's signed question whether it holds the newest state.",
        "reported": "A phone's signed word about itself.",
        "root": "A root, signed by thresholds of itself and the one before.",
    }
    return {
        "decision": _message("One decision.", "Decision", _EXAMPLE),
        "decisionList": _message("Several decisions; each stands for itself.", "DecisionList"),
        "decided": _message("A decision is committed.", "Decided"),
        "refused": _message("Nothing was done, and why.", "Refused"),
        "step": _message("How far the command of a decision has come.", "Step"),
        "status": _message("Whether the bridge is there.", "Status"),
        **{name: _envelope(name, summary) for name, summary in phones.items()},
    }


def _message(summary: str, schema: str, example: Mapping[str, object] | None = None) -> Schema:
    message: Schema = {"summary": summary, "payload": {"$ref": f"#/components/schemas/{schema}"}}
    return message | ({"examples": [{"payload": example}]} if example else {})


def _envelope(name: str, summary: str) -> Schema:
    return {
        "summary": summary,
        "description": "A signed envelope in msgpack, at most 4,096 bytes; docs/protocol.md has every field.",
        "contentType": "application/msgpack",
        "payload": {
            "type": "string",
            "format": "binary",
            "description": f"The envelope of application/vnd.paylatch.{name}.v1+msgpack.",
        },
    }


_EXAMPLE: Final = {
    "decision_id": "2026-01-0001",
    "imei": "001017000000003",
    "type": "payment_overdue",
    "occurred_at": "2026-01-23T00:00:00Z",
    "days_overdue": 90,
}


def _schemas() -> Schema:
    decisions = {kind: _plain(model.model_json_schema()) for kind, model in DECISION_BODIES.items()}
    return {
        "Decision": {"oneOf": [{"$ref": f"#/components/schemas/{kind}"} for kind in decisions]},
        "DecisionList": {
            "type": "array",
            "maxItems": MAX_LIST,
            "items": {"$ref": "#/components/schemas/Decision"},
        },
        **decisions,
        "Decided": _object(_decided()),
        "Refused": _object(_refused()),
        "Step": _object(_step()),
        "Status": _object({"status": {"enum": ["online", "offline"]}, "version": {"type": "string"}}),
    }


def _plain(schema: Any) -> Any:
    """Return a model's schema without the titles that only repeat its names."""
    if isinstance(schema, list):
        return [_plain(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    return {key: _plain(value) for key, value in schema.items() if not (key == "title" and isinstance(value, str))}


def _object(properties: Schema) -> Schema:
    return {"type": "object", "additionalProperties": False, "required": list(properties), "properties": properties}


def _names(kind: type[Level] | type[Reason]) -> Schema:
    return {"enum": [one.name.lower() for one in kind]}


_TEXT: Final[Schema] = {"type": "string"}
_TEXT_OR_NULL: Final[Schema] = {"type": ["string", "null"]}
_NUMBER: Final[Schema] = {"type": "integer", "minimum": 0}
_TIME: Final[Schema] = {"type": ["string", "null"], "format": "date-time"}
_IMEI: Final[Schema] = {"type": "string", "pattern": "^[0-9]{15}$"}


def _decided() -> Schema:
    missing = {"condition": {"enum": [one.value for one in GateCondition]}, "detail": _TEXT, "earliest": _TIME}
    held = {
        "level": _names(Level),
        "missing": {"type": "array", "minItems": 1, "items": _object(missing)},
        "earliest": _TIME,
    }
    return {
        "step": {"const": "decided"},
        "decision_id": _TEXT,
        "imei": _IMEI,
        "type": {"enum": list(DECISION_BODIES)},
        "effect": {"enum": [one.value for one in Effect]},
        "level": _names(Level) | {"description": "What the phone has to be now."},
        "wanted_level": _names(Level) | {"description": "What the arrears ask for, permitted yet or not."},
        "held": {"oneOf": [{"type": "null"}, _object(held)], "description": "What the wanted level waits for."},
        "command_id": _TEXT_OR_NULL | {"description": "What carries it to the phone; null where nothing changed."},
        "repeated": {"type": "boolean", "description": "Whether the decision had been taken before."},
    }


def _refused() -> Schema:
    problem = {
        "type": {"type": "string", "pattern": "^urn:paylatch:problem:[a-z-]+$"},
        "title": _TEXT,
        "status": {"type": "integer", "minimum": 400, "maximum": 599, "description": "503: send the same again later."},
        "detail": _TEXT,
    }
    return {
        "step": {"const": "refused"},
        "decision_id": _TEXT_OR_NULL | {"description": "Null where none could be read."},
        "problem": _object(problem),
    }


def _step() -> Schema:
    statuses = {"enum": [one.value for one in Status]}
    return {
        "step": statuses,
        "decision_id": _TEXT,
        "command_id": _TEXT,
        "imei": _IMEI,
        "status": statuses,
        "pending": {"type": "boolean", "description": "Whether the phone's word is still to come."},
        "level": _names(Level),
        "reason": _names(Reason),
        "epoch": _NUMBER,
        "version": _NUMBER,
        "detail": _TEXT | {"description": "The refusal's name, or why the phone could not."},
        "attempts": _NUMBER | {"description": "How often it was published and acknowledged."},
        "created_at": _TIME,
        "sent_at": _TIME,
        "finished_at": _TIME,
    }
