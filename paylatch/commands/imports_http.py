"""The requests of `paylatch import`: a file goes up, its status and its rows' results come down."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import IO, Any, Self

import httpx

_CHUNK_BYTES = 256 * 1024
_TIMEOUT_S = 60.0


class BridgeError(Exception):
    """The bridge answered with a problem, or did not answer."""

    def __init__(self, kind: str, detail: str, status: int = 0) -> None:
        """Take the last part of the problem's type ("unreachable" for none), what it says, and its status."""
        super().__init__(detail)
        self.kind, self.status = kind, status


@dataclass(frozen=True, slots=True)
class ImportsApi:
    """The imports of one lender. All methods raise `BridgeError`."""

    http: httpx.Client

    @classmethod
    def at(cls, url: str, api_key: str) -> Self:
        """Return the interface of the bridge at this address; close its `http` in the end."""
        headers = {"Authorization": f"Bearer {api_key}"}
        return cls(httpx.Client(base_url=url, headers=headers, timeout=_TIMEOUT_S))

    def upload(
        self, file: IO[bytes], media_type: str, key: str, *, dry_run: bool, sent: Callable[[int], object]
    ) -> dict[str, Any]:
        """Send a file from where it stands to its end, telling `sent` of every piece, and return the import."""
        headers = {"Content-Type": media_type, "Idempotency-Key": key}
        query = {"dry_run": "true"} if dry_run else {}
        return self._json("POST", "/v1/imports", content=_pieces(file, sent), headers=headers, params=query)

    def status(self, import_id: str) -> dict[str, Any]:
        """Return an import as it stands."""
        return self._json("GET", f"/v1/imports/{import_id}")

    def results(self, import_id: str, kind: str, *, refused_only: bool) -> Iterator[bytes]:
        """Yield the results of its rows as a file of this format ("csv" or "ndjson"), piece by piece."""
        query = {"format": kind} | ({"outcome": "refused"} if refused_only else {})
        try:
            with self.http.stream("GET", f"/v1/imports/{import_id}/results", params=query) as response:
                if response.status_code != HTTPStatus.OK:
                    response.read()
                    raise _problem(response)
                yield from response.iter_bytes()
        except httpx.TransportError as error:
            raise _unreachable(f"{self.http.base_url}: {error}") from error

    def _json(self, method: str, path: str, **content: Any) -> dict[str, Any]:
        try:
            response = self.http.request(method, path, **content)
        except httpx.TransportError as error:
            raise _unreachable(f"{self.http.base_url}: {error}") from error
        if not response.is_success:
            raise _problem(response)
        answer: dict[str, Any] = response.json()
        return answer


def _pieces(file: IO[bytes], sent: Callable[[int], object]) -> Iterator[bytes]:
    while piece := file.read(_CHUNK_BYTES):
        yield piece
        sent(len(piece))


def _problem(response: httpx.Response) -> BridgeError:
    try:
        document = response.json()
        kind, detail = str(document["type"]).rpartition(":")[2], str(document["detail"])
    except (ValueError, KeyError, TypeError):
        kind, detail = "unknown", f"{response.url}: answered {response.status_code}, and not as a bridge does"
    if response.status_code == HTTPStatus.SERVICE_UNAVAILABLE:
        return _unreachable(detail)
    return BridgeError(kind, detail, response.status_code)


def _unreachable(detail: str) -> BridgeError:
    return BridgeError("unreachable", f"the bridge does not answer; run the same command again to go on: {detail}")
