"""Lists as OpenAI answers them, and the query parameters that ask for a part of one."""

from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Generic, Literal, TypeVar

from pydantic import BaseModel, Field

from api.schemas.fields import FileId, Item, RequestModel, Text, VectorStoreId
from shared.errors import InvalidRequestError
from shared.files.models import Purpose
from shared.knowledge.store_models import StoreFileStatus
from shared.postgres.pages import Order, Page, PageRequest

R = TypeVar("R")
T = TypeVar("T", bound=Item)


class ListPage(BaseModel, Generic[T]):
    """Part of a list; for the next part pass `last_id` as `after`."""

    object: Literal["list"] = "list"
    data: list[T]
    first_id: str | None
    last_id: str | None
    has_more: bool


# Files on one page, whatever is asked for: what Lambda may answer is bounded, and names and URLs are long.
_FILE_PAGE = 1000


class FileListQuery(RequestModel):
    """Parameters of the list of files; the bounds are OpenAI's, a page may be smaller."""

    limit: Annotated[int, Field(ge=1, le=10_000)] = 10_000
    order: Order = "desc"
    after: FileId | None = None
    purpose: Purpose | None = None

    @property
    def page_request(self) -> PageRequest:
        """The part that is wanted."""
        return PageRequest(limit=min(self.limit, _FILE_PAGE), order=self.order, after=self.after)


class ListQuery(RequestModel):
    """Which part of a list; each list says what its ids are."""

    limit: Annotated[int, Field(ge=1, le=100)] = 20
    order: Order = "desc"
    after: str | None = None

    @property
    def page_request(self) -> PageRequest:
        """The part that is wanted."""
        return PageRequest(limit=self.limit, order=self.order, after=self.after)


class StoreListQuery(ListQuery):
    """Parameters of the list of vector stores; the bounds are OpenAI's."""

    after: VectorStoreId | None = None
    before: VectorStoreId | None = None

    @property
    def page_request(self) -> PageRequest:
        """The part that is wanted."""
        return PageRequest(limit=self.limit, order=self.order, after=self.after, before=self.before)


class StoreFileListQuery(ListQuery):
    """Parameters of the list of files in a vector store; the bounds are OpenAI's."""

    after: FileId | None = None
    before: FileId | None = None
    filter: StoreFileStatus | None = None

    @property
    def page_request(self) -> PageRequest:
        """The part that is wanted."""
        return PageRequest(limit=self.limit, order=self.order, after=self.after, before=self.before)


def shown(page: Page[R], show: Callable[[R], T]) -> ListPage[T]:
    """A page of records as it is answered."""
    return list_page((show(item) for item in page.items), has_more=page.has_more)


def list_page(items: Iterable[T], *, has_more: bool) -> ListPage[T]:
    """Items as a page of a list."""
    data = list(items)
    return ListPage(
        data=data,
        first_id=data[0].id if data else None,
        last_id=data[-1].id if data else None,
        has_more=has_more,
    )


class WholeListQuery(RequestModel):
    """Parameters of a list that is short enough to be read whole before it is cut."""

    limit: Annotated[int, Field(ge=1, le=1000)] = 1000
    after: Annotated[Text, Field(max_length=1024)] | None = None


def cut(items: Sequence[T], query: WholeListQuery) -> ListPage[T]:
    """The part of a whole list that comes after one item.

    Raises:
        InvalidRequestError: `after` is not in the list.
    """
    start = 0
    if query.after is not None:
        place = next((i for i, item in enumerate(items) if item.id == query.after), None)
        if place is None:
            raise InvalidRequestError(f"Nothing in this list has the id {query.after!r}.", param="after")
        start = place + 1
    end = start + query.limit
    return list_page(items[start:end], has_more=len(items) > end)
