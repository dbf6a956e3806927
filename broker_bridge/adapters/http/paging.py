"""Parameters that lists and paths share."""

from typing import Annotated

from fastapi import Path, Query

MAX_PAGE = 500

PageSize = Annotated[int, Query(ge=1, le=MAX_PAGE, description="How many to show at most.")]

_TOKEN = "The `next_page_token` of the page before; nothing for the first page."  # noqa: S105 - no password
PhonesToken = Annotated[str, Query(pattern=r"^([0-9]{15})?$", description=_TOKEN)]
NumberToken = Annotated[str, Query(pattern=r"^([0-9]{1,18})?$", description=_TOKEN)]
KeysToken = Annotated[str, Query(pattern=r"^(key_[0-9a-f]{16})?$", description=_TOKEN)]

ImportsToken = Annotated[str, Query(max_length=64, pattern=r"^[A-Za-z0-9_-]*$", description=_TOKEN)]

ImeiPath = Annotated[
    str,
    Path(
        description="The phone's IMEI (slot 1).",
        examples=["001017000000003"],
        json_schema_extra={"format": "imei", "pattern": "^[0-9]{15}$"},
    ),
]
CommandPath = Annotated[str, Path(description="The `command_id` that a decision was answered with.")]
DecisionPath = Annotated[str, Path(description="The `decision_id` that you gave it.")]
ImportPath = Annotated[str, Path(description="The `import_id` that a file was answered with.")]
KeyPath = Annotated[str, Path(description="The `key_id` of a key.")]
