"""Single requests to the bridge, and what their answers mean."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx

from paylatch.client.answers import read
from paylatch.client.errors import (
    PaylatchError,
    UnavailableError,
    UnexpectedAnswerError,
    UnprovenError,
    error_of,
    problem_in,
)
from paylatch.client.patience import PATIENT, Patience
from paylatch.client.tls import fault_of_certificate

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Requests:
    """Asks one bridge with one API key. That it does not answer, or refuses, is a `PaylatchError`.

    Every request of this client may be repeated: decisions carry their id, imports their key, an enrolment gives the
    same phone another credential and changes nothing else, a policy that is in force already makes no new version.
    So one that got no answer, or was told "not now", is sent again.
    """

    http: httpx.AsyncClient
    patience: Patience = PATIENT

    async def ask(self, method: str, path: str, **content: Any) -> Any:
        """Return the JSON of an answer."""
        return await self.patience.insist(lambda: self.ask_once(method, path, **content))

    async def ask_once(self, method: str, path: str, **content: Any) -> Any:
        """The same, without trying again."""
        try:
            response = await self.http.request(method, path, **content)
        except httpx.TransportError as error:
            raise self.unreachable(error) from error
        if not response.is_success:
            raise refusal(response)
        return _json(response)

    async def pages(self, method: str, path: str, page_size: int, **content: Any) -> AsyncIterator[Any]:
        """Yield the JSON of one page after the other."""
        query: dict[str, Any] = {"page_size": page_size}
        while True:
            page = await self.ask(method, path, params=query, **content)
            yield page
            if not page.get("next_page_token"):
                return
            query["page_token"] = page["next_page_token"]

    def unreachable(self, error: httpx.TransportError) -> UnavailableError:
        """Return what it means that no answer came."""
        if fault := fault_of_certificate(error):
            return UnprovenError(f"{self.http.base_url} has not proven that it is the bridge: {fault}")
        return UnavailableError(f"{self.http.base_url} does not answer: {str(error) or type(error).__name__}")


def items(kind: type[T], name: str) -> Callable[[Any], list[T]]:
    """Return what reads the list of this name in a page."""

    def read_all(page: Any) -> list[T]:
        try:
            return [read(kind, one) for one in page[name]]
        except (KeyError, TypeError) as error:
            raise UnexpectedAnswerError(f"answered a page without {name}") from error

    return read_all


def refusal(response: httpx.Response) -> PaylatchError:
    """Return what an answer that is an error means; its body has been read."""
    try:
        problem = problem_in(_json(response), response.status_code)
    except UnexpectedAnswerError:
        # A proxy before the bridge says in its own words that nobody is there.
        if response.is_server_error:
            return UnavailableError(f"{response.url}: answered {response.status_code}", None, _retry_after_s(response))
        return UnexpectedAnswerError(f"{response.url}: answered {response.status_code}, and not as a bridge does")
    return error_of(problem, _retry_after_s(response))


def _json(response: httpx.Response) -> Any:
    try:
        return response.json()
    except ValueError as error:
        raise UnexpectedAnswerError(f"{response.url}: answered what is not JSON") from error


def _retry_after_s(response: httpx.Response) -> float:
    text = response.headers.get("Retry-After", "")
    return float(text) if text.isascii() and text.isdecimal() else 0.0
