"""The text of files, or why they have none."""

from shared.charset.decode import Decoded
from shared.charset.decode import decode as decode_by
from shared.documents.document import UnreadableDocumentError


def decode(data: bytes, *, media_type: str | None = None, html: bool = False) -> str:
    """The text of a file, by the `charset` of its media type, by a meta tag if `html`, or by its bytes.

    Raises:
        UnreadableDocumentError: `invalid_file`, when no charset fits.
    """
    return _fitting(data, decode_by(data, _label(media_type), markup=html)).text


def encoding_of(sample: bytes, *, media_type: str | None = None) -> str:
    """The name of the charset by which `decode` would read this sample of a larger file, cut anywhere.

    Raises:
        UnreadableDocumentError: `invalid_file`, when no charset fits.
    """
    return _fitting(sample, decode_by(sample, _label(media_type), cut=True)).charset


def _label(media_type: str | None) -> str | None:
    from w3lib.encoding import http_content_type_encoding

    return http_content_type_encoding(media_type)


def _fitting(data: bytes, decoded: Decoded) -> Decoded:
    from w3lib.encoding import read_bom

    if decoded.fits:
        return decoded
    marked, _ = read_bom(data)
    what = f"begins as {marked.upper()} but is damaged" if marked else "has an unknown or damaged encoding"
    raise UnreadableDocumentError(
        "invalid_file", f"The text {what}. Save the file as UTF-8 and upload it again."
    )
