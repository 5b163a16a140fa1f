"""Records that a chat model fills in: asked once per page, at the cost of the key that began the scrape."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from scraping.document import MARKDOWN, Harvest
from scraping.page_model import ModelMeans, PageModel
from shared.limits.unattended import unattended_caller
from shared.postgres.database import Database
from shared.web.answer import FetchFailedError
from shared.web.filled_schema import FilledSchema
from shared.web.filling import AskError, Filled, digest, fill
from shared.web.kept_records import keep_records
from shared.web.known_pages import KnownPage
from shared.web.media import HTML
from shared.web.scrape_models import PageClaim

_TOO_LARGE = "it is larger than records are taken from"


@dataclass(frozen=True, kw_only=True)
class Filler:
    """Has records filled in. A page that cannot be asked about now comes back, `attempts` times in all."""

    database: Database
    means: ModelMeans
    attempts: int
    now: Callable[[], datetime]

    async def records(self, claim: PageClaim, harvested: Harvest, known: KnownPage | None) -> Filled:
        """What the scrape's model makes of a page; where it has selectors, what they found.

        What this claim or a scrape before has paid for is not asked again.

        Raises:
            FetchFailedError: No model answered, and the page has tries left.
        """
        schema, document = claim.rules.records, harvested.document
        if schema is not None and document is not None and document.media_type == HTML:
            return Filled(None, _TOO_LARGE)
        if not isinstance(schema, FilledSchema):
            return Filled(harvested.records)
        if document is None or document.media_type != MARKDOWN:
            return Filled(None)
        text = document.body.decode(errors="replace")
        if claim.records is not None:
            # Of a try that died: what it read may have been another text, so it answers for no other scrape.
            return Filled(claim.records)
        asked = digest(schema, text)
        if known is not None and known.asked == asked:
            return Filled(known.records, asked=asked)
        return replace(await self._fill(claim, schema, text), asked=asked)

    async def _fill(self, claim: PageClaim, schema: FilledSchema, text: str) -> Filled:
        try:
            model = await self._model(claim, schema)
            filled = await fill(model, schema, text)
        except AskError as error:
            if error.retry_after is None or claim.attempts >= self.attempts:
                return Filled(None, error.reason)
            raise FetchFailedError(error.reason, transient=True, retry_after=error.retry_after) from error
        if filled.records is not None:
            async with self.database.tenant(claim.tenant_id) as connection:
                await keep_records(connection, claim, filled.records)
        return filled

    async def _model(self, claim: PageClaim, schema: FilledSchema) -> PageModel:
        key_id = claim.rules.key_id
        caller = (
            await unattended_caller(self.database, claim.tenant_id, key_id, self.now()) if key_id else None
        )
        if caller is None:
            raise AskError("the key that began the scrape was revoked or has expired")
        return PageModel.of(self.means, claim, schema, caller)
