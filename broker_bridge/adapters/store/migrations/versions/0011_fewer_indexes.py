"""Commands by decision instead of by phone, and no index of decisions by phone, which nothing asks for."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_OF_DECISION = sa.text("decision_id IS NOT NULL")


def upgrade() -> None:
    """Go forward."""
    op.drop_index("ix_commands_imei", "commands")
    op.drop_index("ix_decisions_imei", "decisions")
    op.create_index(
        "ix_commands_decision_id",
        "commands",
        ["decision_id"],
        sqlite_where=_OF_DECISION,
        postgresql_where=_OF_DECISION,
    )


def downgrade() -> None:
    """Go back."""
    op.drop_index("ix_commands_decision_id", "commands", sqlite_where=_OF_DECISION, postgresql_where=_OF_DECISION)
    op.create_index("ix_decisions_imei", "decisions", ["imei"])
    op.create_index("ix_commands_imei", "commands", ["imei"])
