"""First tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    op.create_table(
        "audit",
        sa.Column("entry", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("lender", sa.String(length=32), nullable=False),
        sa.Column("imei", sa.String(length=15), nullable=False),
        sa.Column("event", sa.String(length=32), nullable=False),
        sa.Column("detail", sa.String(length=512), nullable=False),
        sa.PrimaryKeyConstraint("entry", name=op.f("pk_audit")),
    )
    with op.batch_alter_table("audit", schema=None) as batch_op:
        batch_op.create_index("ix_audit_imei", ["imei"], unique=False)

    op.create_table(
        "canaries",
        sa.Column("token", sa.String(length=64), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("token", name=op.f("pk_canaries")),
    )
    with op.batch_alter_table("canaries", schema=None) as batch_op:
        batch_op.create_index("ix_canaries_number", ["number"], unique=False)

    op.create_table(
        "facts",
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("value", sa.String(length=256), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_facts")),
    )
    op.create_table(
        "lenders",
        sa.Column("lender", sa.String(length=32), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("lender", name=op.f("pk_lenders")),
    )
    op.create_table(
        "api_keys",
        sa.Column("key_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("lender", sa.String(length=32), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["lender"], ["lenders.lender"], name=op.f("fk_api_keys_lender")),
        sa.PrimaryKeyConstraint("key_hash", name=op.f("pk_api_keys")),
    )
    op.create_table(
        "commands",
        sa.Column("command_id", sa.String(length=32), nullable=False),
        sa.Column("lender", sa.String(length=32), nullable=False),
        sa.Column("imei", sa.String(length=15), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("level", sa.SmallInteger(), nullable=False),
        sa.Column("reason", sa.SmallInteger(), nullable=False),
        sa.Column("lane", sa.SmallInteger(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("decision_id", sa.String(length=64), nullable=True),
        sa.Column("detail", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("sent_at", sa.BigInteger(), nullable=False),
        sa.Column("finished_at", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["lender"], ["lenders.lender"], name=op.f("fk_commands_lender")),
        sa.PrimaryKeyConstraint("command_id", name=op.f("pk_commands")),
    )
    with op.batch_alter_table("commands", schema=None) as batch_op:
        batch_op.create_index(
            "ix_commands_due",
            ["lane", "due_at"],
            unique=False,
            sqlite_where=sa.text("due_at > 0"),
            postgresql_where=sa.text("due_at > 0"),
        )
        batch_op.create_index("ix_commands_imei", ["imei"], unique=False)
        batch_op.create_index(
            "ix_commands_sent",
            ["sent_at"],
            unique=False,
            sqlite_where=sa.text("status = 'sent'"),
            postgresql_where=sa.text("status = 'sent'"),
        )

    op.create_table(
        "decisions",
        sa.Column("decision_id", sa.String(length=64), nullable=False),
        sa.Column("lender", sa.String(length=32), nullable=False),
        sa.Column("imei", sa.String(length=15), nullable=False),
        sa.Column("type", sa.String(length=32), nullable=False),
        sa.Column("occurred_at", sa.BigInteger(), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(length=32), nullable=False),
        sa.Column("effect", sa.String(length=32), nullable=False),
        sa.Column("level", sa.SmallInteger(), nullable=False),
        sa.Column("command_id", sa.String(length=32), nullable=True),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["lender"], ["lenders.lender"], name=op.f("fk_decisions_lender")),
        sa.PrimaryKeyConstraint("decision_id", "lender", name=op.f("pk_decisions")),
    )
    with op.batch_alter_table("decisions", schema=None) as batch_op:
        batch_op.create_index("ix_decisions_imei", ["imei"], unique=False)

    op.create_table(
        "phones",
        sa.Column("imei", sa.String(length=15), nullable=False),
        sa.Column("lender", sa.String(length=32), nullable=False),
        sa.Column("loan_id", sa.String(length=64), nullable=False),
        sa.Column("device_key", sa.LargeBinary(length=32), nullable=False),
        sa.Column("consent", sa.String(length=256), nullable=False),
        sa.Column("credential", sa.String(length=256), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("days_overdue", sa.Integer(), nullable=False),
        sa.Column("as_of", sa.BigInteger(), nullable=False),
        sa.Column("cured_at", sa.BigInteger(), nullable=False),
        sa.Column("settled", sa.Boolean(), nullable=False),
        sa.Column("amount_due", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("pay_url", sa.String(length=200), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("delegation_version", sa.BigInteger(), nullable=False),
        sa.Column("level", sa.SmallInteger(), nullable=False),
        sa.Column("state_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("envelope", sa.LargeBinary(), nullable=False),
        sa.Column("command_id", sa.String(length=32), nullable=False),
        sa.Column("said_epoch", sa.BigInteger(), nullable=True),
        sa.Column("said_version", sa.BigInteger(), nullable=True),
        sa.Column("said_hash", sa.LargeBinary(length=32), nullable=True),
        sa.Column("said_level", sa.SmallInteger(), nullable=True),
        sa.Column("said_condition", sa.SmallInteger(), nullable=True),
        sa.Column("said_signals", sa.SmallInteger(), nullable=True),
        sa.Column("said_boot_count", sa.BigInteger(), nullable=True),
        sa.Column("said_at", sa.BigInteger(), nullable=True),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("seen_version", sa.BigInteger(), nullable=False),
        sa.Column("refused_openings", sa.Integer(), nullable=False),
        sa.Column("publish_number", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["lender"], ["lenders.lender"], name=op.f("fk_phones_lender")),
        sa.PrimaryKeyConstraint("imei", name=op.f("pk_phones")),
    )
    with op.batch_alter_table("phones", schema=None) as batch_op:
        batch_op.create_index("ix_phones_lender_delegation_version", ["lender", "delegation_version"], unique=False)
        batch_op.create_index("ix_phones_lender_imei", ["lender", "imei"], unique=False)
        batch_op.create_index("ix_phones_publish_number", ["publish_number"], unique=False)


def downgrade() -> None:
    """Go back."""
    with op.batch_alter_table("phones", schema=None) as batch_op:
        batch_op.drop_index("ix_phones_publish_number")
        batch_op.drop_index("ix_phones_lender_imei")
        batch_op.drop_index("ix_phones_lender_delegation_version")

    op.drop_table("phones")
    with op.batch_alter_table("decisions", schema=None) as batch_op:
        batch_op.drop_index("ix_decisions_imei")

    op.drop_table("decisions")
    with op.batch_alter_table("commands", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_commands_sent", sqlite_where=sa.text("status = 'sent'"), postgresql_where=sa.text("status = 'sent'")
        )
        batch_op.drop_index("ix_commands_imei")
        batch_op.drop_index(
            "ix_commands_due", sqlite_where=sa.text("due_at > 0"), postgresql_where=sa.text("due_at > 0")
        )

    op.drop_table("commands")
    op.drop_table("api_keys")
    op.drop_table("lenders")
    op.drop_table("facts")
    with op.batch_alter_table("canaries", schema=None) as batch_op:
        batch_op.drop_index("ix_canaries_number")

    op.drop_table("canaries")
    with op.batch_alter_table("audit", schema=None) as batch_op:
        batch_op.drop_index("ix_audit_imei")

    op.drop_table("audit")
