"""A visit to a host: asked of its robots.txt, in its turn, over checked connections."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

from shared.web.admission import Admission
from shared.web.answer import Fetched, FetchError, unsuccessful
from shared.web.fetch import Fetcher, UnreachableError, Validators
from shared.web.politeness import Answered, Later

# By these a host says that it wants to be left alone, by other errors that the page is broken.
_BUSY = frozenset((429, 503))


@dataclass(frozen=True, kw_only=True)
class Visitor:
    """Fetches pages."""

    fetcher: Fetcher
    admission: Admission
    now: Callable[[], datetime]

    async def visit(
        self,
        url: str,
        *,
        accepts: Callable[[str], bool],
        redirect: Callable[[str], Awaitable[None]],
        validators: Validators | None = None,
    ) -> Fetched | Later:
        """The answer of `url`, whatever its status; or when to come back, if its host's turn is far off.

        Args:
            redirect: Asked of each redirect before robots.txt is; refuses by raising.

        Raises:
            FetchRefusedError: By robots.txt, by `redirect`, or what it is.
            FetchFailedError: No answer.
        """

        async def permit(asked: str) -> None:
            if asked != url:
                await redirect(asked)
                await self.admission.robots.permit(asked)

        turn = await self.admission.ask(url)
        if isinstance(turn, Later):
            return turn
        answered: Answered = "unknown"
        rest = 0.0
        try:
            fetched = await self.fetcher.fetch(url, permit=permit, accepts=accepts, validators=validators)
            answered, rest = self._answered(fetched)
        except FetchError as error:
            answered = "no" if isinstance(error, UnreachableError) else "yes"
            raise
        finally:
            await self.admission.politeness.end(turn, answered=answered, rest=rest)
        return fetched

    def _answered(self, fetched: Fetched) -> tuple[Answered, float]:
        if fetched.status not in _BUSY:
            return "yes", 0.0
        return "no", unsuccessful(fetched, self.now()).retry_after or 0.0
