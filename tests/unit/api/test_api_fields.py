"""What a request may carry."""

import pytest
from pydantic import TypeAdapter, ValidationError

from api.schemas.fields import Attributes, FileId, Item, Metadata
from api.schemas.files import Filename, MediaType
from api.schemas.paging import FileListQuery, WholeListQuery, cut
from api.schemas.store_files import BatchRequest
from api.schemas.vector_stores import CreateStoreRequest, chunk_tokens_of
from shared.errors import InvalidRequestError

ATTRIBUTES: TypeAdapter[object] = TypeAdapter(Attributes)


def test_attributes_keep_their_types() -> None:
    given = {"year": 2026, "score": 1.5, "public": True, "lang": "zh", "digits": "42"}
    kept = ATTRIBUTES.validate_python(given)
    assert kept == given
    assert [type(value) for value in kept.values()] == [int, float, bool, str, str]


@pytest.mark.parametrize(
    "value", [None, [], {}, "x" * 513, "a\x00b", "\ud800", float("nan"), float("inf"), 2**53 + 1]
)
def test_attributes_that_cannot_be_stored_or_compared_are_refused(value: object) -> None:
    with pytest.raises(ValidationError):
        ATTRIBUTES.validate_python({"key": value})


@pytest.mark.parametrize("key", ["", "k" * 65, "a\x00"])
def test_attribute_keys_have_openais_bounds(key: str) -> None:
    with pytest.raises(ValidationError):
        ATTRIBUTES.validate_python({key: 1})


def test_metadata_is_text_alone_and_sixteen_pairs() -> None:
    metadata: TypeAdapter[object] = TypeAdapter(Metadata)
    sixteen = {f"k{i}": "v" for i in range(16)}
    assert metadata.validate_python(sixteen) == sixteen
    with pytest.raises(ValidationError):
        metadata.validate_python(sixteen | {"one": "more"})
    with pytest.raises(ValidationError):
        metadata.validate_python({"k": 1})


def test_ids_in_a_body_name_the_form_they_should_have() -> None:
    with pytest.raises(ValidationError, match="begins with 'file-'"):
        TypeAdapter(FileId).validate_python("vs_1")


@pytest.mark.parametrize("name", ["a.txt", "年报 2026.pdf", "docs/a.md"])
def test_file_names_are_free_in_script(name: str) -> None:
    assert TypeAdapter(Filename).validate_python(name) == name


@pytest.mark.parametrize("name", ["", "a\nb", "a\x00", "x" * 256])
def test_file_names_without_controls(name: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Filename).validate_python(name)


@pytest.mark.parametrize("given", ["text/plain", "text/html; charset=utf-8", 'text/csv;header="present"'])
def test_media_types(given: str) -> None:
    assert TypeAdapter(MediaType).validate_python(given) == given


@pytest.mark.parametrize("given", ["", "text", "text/plain\r\nx-evil: 1", "text/plain; charset=\n", "é/x"])
def test_what_is_no_media_type_is_refused(given: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(MediaType).validate_python(given)


def test_a_batch_names_its_files_one_way_or_the_other() -> None:
    with_ids = BatchRequest.model_validate({"file_ids": ["file-1", "file-2"], "attributes": {"a": 1}})
    assert [(file.file_id, file.attributes) for file in with_ids.attachments] == [
        ("file-1", {"a": 1}),
        ("file-2", {"a": 1}),
    ]
    for wrong in ({}, {"file_ids": []}, {"file_ids": ["file-1"], "files": [{"file_id": "file-1"}]}):
        with pytest.raises(ValidationError):
            BatchRequest.model_validate(wrong)


def test_a_field_nobody_knows_is_refused() -> None:
    with pytest.raises(ValidationError, match="nmae"):
        CreateStoreRequest.model_validate({"nmae": "typo"})


def test_a_chunking_that_would_not_be_honoured_is_refused() -> None:
    static = {"type": "static", "static": {"max_chunk_size_tokens": 800, "chunk_overlap_tokens": 400}}
    with pytest.raises(ValidationError, match="never overlap"):
        CreateStoreRequest.model_validate({"chunking_strategy": static})
    static["static"] = {"max_chunk_size_tokens": 800, "chunk_overlap_tokens": 0}
    assert chunk_tokens_of(CreateStoreRequest(chunking_strategy=static).chunking_strategy) == 800
    assert CreateStoreRequest.model_validate({"chunking_strategy": {"type": "auto"}}).chunking_strategy


def test_a_page_of_files_is_smaller_than_openai_allows_to_ask_for() -> None:
    assert FileListQuery(limit=10_000).page_request.limit == 1000
    assert FileListQuery(limit=7).page_request.limit == 7


def test_a_whole_list_is_cut_after_an_item() -> None:
    items = [Item(id=str(i)) for i in range(5)]
    page = cut(items, WholeListQuery(limit=2, after="1"))
    assert ([item.id for item in page.data], page.first_id, page.last_id, page.has_more) == (
        ["2", "3"],
        "2",
        "3",
        True,
    )
    assert not cut(items, WholeListQuery(limit=2, after="2")).has_more
    with pytest.raises(InvalidRequestError):
        cut(items, WholeListQuery(after="9"))
