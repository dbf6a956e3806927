"""An index of the commands that are still pending."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0005"
branch_labels = None
depends_on = None

_PENDING = sa.text("finished_at = 0")


def upgrade() -> None:
    """Go forward."""
    op.create_index(
        "ix_commands_pending",
        "commands",
        ["lane", "created_at"],
        sqlite_where=_PENDING,
        postgresql_where=_PENDING,
    )


def downgrade() -> None:
    """Go back."""
    op.drop_index("ix_commands_pending", "commands", sqlite_where=_PENDING, postgresql_where=_PENDING)
