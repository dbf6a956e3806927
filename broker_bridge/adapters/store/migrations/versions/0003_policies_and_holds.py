"""Policies of lenders, holds, episodes of arrears, and when to judge a phone again."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_DUE = sa.text("look_at > 0")
_ZERO, _NOTHING, _NONE = (
    "0",
    "{}",
    "[]",
)  # plain text: for anything else SQLite would copy the table, and its references with it

# Phones that are restricted already stay so: what was let through before there were gates needs none afterwards.
_EPISODES = """
UPDATE phones SET wanted = level, episode = '{"arrears_since": 1, "notice_at": 0, "reminder_at": 0, '
  || '"escalated_from": 0, "granted": ' || CAST(level AS VARCHAR) || '}'
WHERE days_overdue > 0 AND level BETWEEN 1 AND 4
"""


def upgrade() -> None:
    """Go forward."""
    op.create_table(
        "policies",
        sa.Column("lender", sa.String(length=32), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("set_at", sa.BigInteger(), nullable=False),
        sa.Column("set_by", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(["lender"], ["lenders.lender"], name=op.f("fk_policies_lender")),
        sa.PrimaryKeyConstraint("lender", "version", name=op.f("pk_policies")),
    )
    with op.batch_alter_table("lenders") as batch_op:
        batch_op.add_column(sa.Column("policy_version", sa.Integer(), server_default=_ZERO, nullable=False))
        batch_op.add_column(sa.Column("heard_at", sa.BigInteger(), server_default=_ZERO, nullable=False))
    with op.batch_alter_table("decisions") as batch_op:
        batch_op.add_column(sa.Column("wanted", sa.SmallInteger(), server_default=_ZERO, nullable=False))
        batch_op.add_column(sa.Column("held", sa.Text(), server_default=_NONE, nullable=False))
    op.execute("UPDATE decisions SET wanted = level WHERE level BETWEEN 1 AND 4")
    with op.batch_alter_table("phones") as batch_op:
        batch_op.add_column(sa.Column("evidence", sa.Text(), server_default=_NOTHING, nullable=False))
        batch_op.add_column(sa.Column("time_zone", sa.String(length=64), nullable=True))
        batch_op.add_column(sa.Column("holds", sa.Text(), server_default=_NOTHING, nullable=False))
        batch_op.add_column(sa.Column("episode", sa.Text(), server_default=_NOTHING, nullable=False))
        batch_op.add_column(sa.Column("wanted", sa.SmallInteger(), server_default=_ZERO, nullable=False))
        batch_op.add_column(sa.Column("look_at", sa.BigInteger(), server_default=_ZERO, nullable=False))
        batch_op.create_index("ix_phones_look_at", ["look_at"], unique=False, sqlite_where=_DUE, postgresql_where=_DUE)
    op.execute(_EPISODES)


def downgrade() -> None:
    """Go back. No table is copied: SQLite would not let go of one that others refer to."""
    with op.batch_alter_table("phones", recreate="never") as batch_op:
        batch_op.drop_index("ix_phones_look_at", sqlite_where=_DUE, postgresql_where=_DUE)
        for column in ("look_at", "wanted", "episode", "holds", "time_zone", "evidence"):
            batch_op.drop_column(column)
    with op.batch_alter_table("decisions", recreate="never") as batch_op:
        for column in ("held", "wanted"):
            batch_op.drop_column(column)
    with op.batch_alter_table("lenders", recreate="never") as batch_op:
        for column in ("heard_at", "policy_version"):
            batch_op.drop_column(column)
    op.drop_table("policies")
