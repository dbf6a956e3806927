"""Which bridge has an import's file, and when each of them was last there."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    op.create_table(
        "spools",
        sa.Column("spool", sa.String(length=32), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("spool", name=op.f("pk_spools")),
    )
    with op.batch_alter_table("imports") as batch_op:
        batch_op.add_column(sa.Column("spool", sa.String(length=32), server_default=sa.text("''"), nullable=False))


def downgrade() -> None:
    """Go back."""
    with op.batch_alter_table("imports", recreate="never") as batch_op:
        batch_op.drop_column("spool")
    op.drop_table("spools")
