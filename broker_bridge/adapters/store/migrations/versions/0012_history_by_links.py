"""A phone's history as a chain from its newest entry, instead of an index of all history by phone."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    op.drop_index("ix_audit_imei", "audit")  # first: writing every row would write it anew
    op.add_column("audit", sa.Column("previous", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("phones", sa.Column("newest_entry", sa.BigInteger(), server_default="0", nullable=False))
    op.execute(
        "UPDATE audit SET previous = before.previous FROM"
        " (SELECT entry, lag(entry, 1) OVER (PARTITION BY imei ORDER BY entry) AS previous FROM audit) AS before"
        " WHERE before.entry = audit.entry AND before.previous IS NOT NULL AND audit.imei <> ''"
    )
    op.execute(
        "UPDATE phones SET newest_entry = last.entry FROM"
        " (SELECT imei, max(entry) AS entry FROM audit GROUP BY imei) AS last WHERE last.imei = phones.imei"
    )


def downgrade() -> None:
    """Go back."""
    op.create_index("ix_audit_imei", "audit", ["imei"])
    # In place: SQLite would copy the tables otherwise.
    with op.batch_alter_table("phones", recreate="never") as batch_op:
        batch_op.drop_column("newest_entry")
    with op.batch_alter_table("audit", recreate="never") as batch_op:
        batch_op.drop_column("previous")
