"""Which decisions came by MQTT, and so which commands' steps their lenders are told of.

Revision ID: 0005
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go up."""
    for table in ("decisions", "commands"):
        op.add_column(table, sa.Column("told", sa.Boolean(), nullable=False, server_default=sa.false()))


def downgrade() -> None:
    """Go down."""
    for table in ("commands", "decisions"):
        with op.batch_alter_table(table, schema=None) as batch_op:
            batch_op.drop_column("told")
