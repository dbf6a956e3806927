"""The tables, in SQLAlchemy Core. Written so that SQLite and PostgreSQL hold the same."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    false,
    text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

SWEEP_BEGINS = "0"
"""Sorts before every IMEI."""

lenders = Table(
    "lenders",
    metadata,
    Column("lender", String(32), primary_key=True),
    Column("created_at", BigInteger, nullable=False),
    Column("policy_version", Integer, nullable=False, server_default="0"),
    Column("heard_at", BigInteger, nullable=False, server_default="0"),
    # from when on all its phones are to be judged again (0: they are not), and up to which IMEI they have been
    Column("judge_at", BigInteger, nullable=False, server_default="0"),
    Column("judged_to", String(15), nullable=False, server_default=SWEEP_BEGINS),
)

policies = Table(
    "policies",
    metadata,
    Column("lender", String(32), ForeignKey("lenders.lender"), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("document", Text, nullable=False),
    Column("set_at", BigInteger, nullable=False),
    Column("set_by", String(32), nullable=False),
)
"""Every version of every lender's own policy; `lenders.policy_version` says which is in force."""

api_keys = Table(
    "api_keys",
    metadata,
    Column("key_hash", LargeBinary(32), primary_key=True),
    Column("lender", String(32), ForeignKey("lenders.lender"), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("key_id", String(20), nullable=False),
    Column("name", String(64), nullable=False),
    Column("scopes", String(128), nullable=False),
    Column("last_used_at", BigInteger, nullable=False),
    Column("revoked_at", BigInteger, nullable=False),
)
Index("ix_api_keys_lender_key_id", api_keys.c.lender, api_keys.c.key_id, unique=True)

phones = Table(
    "phones",
    metadata,
    Column("imei", String(15), primary_key=True),
    Column("lender", String(32), ForeignKey("lenders.lender"), nullable=False),
    Column("loan_id", String(64), nullable=False),
    Column("device_key", LargeBinary(32), nullable=False),
    Column("consent", String(256), nullable=False),
    Column("evidence", Text, nullable=False, server_default="{}"),
    Column("time_zone", String(64)),
    Column("credential", String(256), nullable=False),
    Column("status", String(16), nullable=False),
    # the loan
    Column("days_overdue", Integer, nullable=False),
    Column("as_of", BigInteger, nullable=False),
    Column("cured_at", BigInteger, nullable=False),
    Column("settled", Boolean, nullable=False),
    Column("amount_due", BigInteger, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("pay_url", String(200), nullable=False),
    # what was announced, granted and disputed, as JSON, and the bridge's own clock of the arrears; empty for nothing
    Column("holds", Text, nullable=False, server_default="{}"),
    Column("episode", Text, nullable=False, server_default="{}"),
    Column("wanted", SmallInteger, nullable=False, server_default="0"),
    Column("held_decision", String(64)),
    Column("look_at", BigInteger, nullable=False, server_default="0"),
    # the desired state; level, epoch and version stand in the envelope as well, here they can be selected
    Column("epoch", BigInteger, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("delegation_version", BigInteger, nullable=False),
    Column("level", SmallInteger, nullable=False),
    Column("state_hash", LargeBinary(32), nullable=False),
    Column("envelope", LargeBinary, nullable=False),
    Column("command_id", String(32), nullable=False),
    # the phone's own word; said_at null: it has not said anything yet
    Column("said_epoch", BigInteger),
    Column("said_version", BigInteger),
    Column("said_hash", LargeBinary(32)),
    Column("said_level", SmallInteger),
    Column("said_condition", SmallInteger),
    Column("said_signals", SmallInteger),
    Column("said_boot_count", BigInteger),
    Column("said_at", BigInteger),
    Column("sequence", BigInteger, nullable=False),
    Column("seen_version", BigInteger, nullable=False),
    Column("refused_openings", Integer, nullable=False),
    Column("publish_number", BigInteger, nullable=False),
    # where its history begins, for who reads it from its end
    Column("newest_entry", BigInteger, nullable=False, server_default="0"),
)
Index("ix_phones_lender_imei", phones.c.lender, phones.c.imei)
Index("ix_phones_lender_delegation_version", phones.c.lender, phones.c.delegation_version)
Index("ix_phones_publish_number", phones.c.publish_number)
Index(
    "ix_phones_look_at",
    phones.c.look_at,
    sqlite_where=text("look_at > 0"),
    postgresql_where=text("look_at > 0"),
)

decisions = Table(
    "decisions",
    metadata,
    Column("decision_id", String(64), primary_key=True),
    Column("lender", String(32), ForeignKey("lenders.lender"), primary_key=True),
    Column("imei", String(15), nullable=False),
    Column("type", String(32), nullable=False),
    Column("occurred_at", BigInteger, nullable=False),
    Column("fingerprint", LargeBinary(32), nullable=False),
    Column("effect", String(32), nullable=False),
    Column("level", SmallInteger, nullable=False),
    Column("command_id", String(32)),
    Column("received_at", BigInteger, nullable=False),
    Column("wanted", SmallInteger, nullable=False, server_default="0"),
    Column("held", Text, nullable=False, server_default="[]"),
    Column("told", Boolean, nullable=False, server_default=false()),
)

commands = Table(
    "commands",
    metadata,
    Column("command_id", String(32), primary_key=True),
    Column("lender", String(32), ForeignKey("lenders.lender"), nullable=False),
    Column("imei", String(15), nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("level", SmallInteger, nullable=False),
    Column("reason", SmallInteger, nullable=False),
    Column("lane", SmallInteger, nullable=False),
    Column("status", String(16), nullable=False),
    Column("decision_id", String(64)),
    Column("detail", String(64), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("sent_at", BigInteger, nullable=False),
    Column("finished_at", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("due_at", BigInteger, nullable=False),
    Column("told", Boolean, nullable=False, server_default=false()),
)
# By what lenders ask for. By IMEI, each command would write a page of its own: phones do not come in their order.
Index(
    "ix_commands_decision_id",
    commands.c.decision_id,
    sqlite_where=text("decision_id IS NOT NULL"),
    postgresql_where=text("decision_id IS NOT NULL"),
)
# Only what is due is in this index, so finding it costs the same however many commands have been.
Index(
    "ix_commands_due",
    commands.c.lane,
    commands.c.due_at,
    sqlite_where=text("due_at > 0"),
    postgresql_where=text("due_at > 0"),
)
Index(
    "ix_commands_sent",
    commands.c.sent_at,
    sqlite_where=text("status = 'sent'"),
    postgresql_where=text("status = 'sent'"),
)
Index(
    "ix_commands_finished",
    commands.c.status,
    commands.c.finished_at,
    sqlite_where=text("finished_at > 0"),
    postgresql_where=text("finished_at > 0"),
)

# Only what no phone has proven yet is in this one: how long the oldest has waited is asked every few seconds.
Index(
    "ix_commands_pending",
    commands.c.lane,
    commands.c.created_at,
    sqlite_where=text("finished_at = 0"),
    postgresql_where=text("finished_at = 0"),
)

audit = Table(
    "audit",
    metadata,
    Column("entry", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("at", BigInteger, nullable=False),
    Column("lender", String(32), nullable=False),
    Column("imei", String(15), nullable=False),
    Column("event", String(32), nullable=False),
    Column("detail", String(512), nullable=False),
    # the entry of the same phone before this one
    Column("previous", BigInteger, nullable=False, server_default="0"),
)
# Whoever offers key after key for a phone has each looked for here, and not in all that has happened to that phone.
Index(
    "ix_audit_key_conflicts",
    audit.c.imei,
    sqlite_where=text("event = 'device_key_conflict'"),
    postgresql_where=text("event = 'device_key_conflict'"),
)

imports = Table(
    "imports",
    metadata,
    Column("import_id", String(32), primary_key=True),
    Column("lender", String(32), ForeignKey("lenders.lender"), nullable=False),
    Column("idempotency_key", String(255), nullable=False),
    Column("format", String(16), nullable=False),
    Column("dry_run", Boolean, nullable=False),
    Column("state", String(16), nullable=False),
    Column("content_hash", LargeBinary(32), nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    # rows of the file, and what has become of those that are done
    Column("rows", Integer, nullable=False),
    Column("applied", Integer, nullable=False),
    Column("unchanged", Integer, nullable=False),
    Column("held", Integer, nullable=False),
    Column("repeated", Integer, nullable=False),
    Column("refused", Integer, nullable=False),
    Column("problem", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("finished_at", BigInteger, nullable=False),
    # whose bridge has the file; empty: any bridge's
    Column("spool", String(32), nullable=False, server_default=text("''")),
)
Index("ix_imports_lender_idempotency_key", imports.c.lender, imports.c.idempotency_key, unique=True)
Index("ix_imports_state", imports.c.state)

# Bridges that work imports off, and when each of them was last there.
spools = Table(
    "spools",
    metadata,
    Column("spool", String(32), primary_key=True),
    Column("seen_at", BigInteger, nullable=False),
)

import_rows = Table(
    "import_rows",
    metadata,
    Column("import_id", String(32), primary_key=True),
    Column("row", Integer, primary_key=True, autoincrement=False),
    Column("outcome", String(16), nullable=False),
    Column("answer", Text, nullable=False),
    sqlite_with_rowid=False,
)

canaries = Table(
    "canaries",
    metadata,
    Column("token", String(64), primary_key=True),
    Column("number", BigInteger, nullable=False),
)
Index("ix_canaries_number", canaries.c.number)

facts = Table(
    "facts",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("value", String(256), nullable=False),
)
"""Single values of the whole bridge: the newest signed time, its MQTT client id, who has the broker."""
