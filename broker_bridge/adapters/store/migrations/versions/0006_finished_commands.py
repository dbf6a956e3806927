"""An index by which commands that have long been over are found."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    op.create_index(
        "ix_commands_finished",
        "commands",
        ["status", "finished_at"],
        sqlite_where=sa.text("finished_at > 0"),
        postgresql_where=sa.text("finished_at > 0"),
    )


def downgrade() -> None:
    """Go back."""
    op.drop_index("ix_commands_finished", "commands")
