"""How far all phones of a lender have been judged again."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    with op.batch_alter_table("lenders") as batch_op:
        batch_op.add_column(sa.Column("judge_at", sa.BigInteger(), server_default="0", nullable=False))
        batch_op.add_column(sa.Column("judged_to", sa.String(length=15), server_default="0", nullable=False))


def downgrade() -> None:
    """Go back."""
    # In place: SQLite would copy the table otherwise, and others refer to it.
    with op.batch_alter_table("lenders", recreate="never") as batch_op:
        batch_op.drop_column("judged_to")
        batch_op.drop_column("judge_at")
