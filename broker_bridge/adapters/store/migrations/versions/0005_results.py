"""Which decisions came by MQTT, and so which commands' steps their lenders are told of; which decision is held."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    for table in ("decisions", "commands"):
        op.add_column(table, sa.Column("told", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("phones", sa.Column("held_decision", sa.String(length=64), nullable=True))


def downgrade() -> None:
    """Go back."""
    with op.batch_alter_table("phones", schema=None) as batch_op:
        batch_op.drop_column("held_decision")
    for table in ("commands", "decisions"):
        with op.batch_alter_table(table, schema=None) as batch_op:
            batch_op.drop_column("told")
