"""Bytes to text, whatever the labels say."""

import codecs

import pytest

from shared.charset.decode import decode

CHINESE = (
    "秋天的北京，天空高而蓝，香山的红叶吸引了来自各地的游客。人们在公园里散步、下棋、唱歌，享受难得的好天气。"
)
TRADITIONAL = "臺灣的夜市聞名於世，遊客可以品嚐各種小吃，例如蚵仔煎、臭豆腐與珍珠奶茶，氣氛十分熱鬧。"
JAPANESE = "春になると、東京の公園では桜が咲き、多くの人々が花見を楽しみます。カメラを持つ人も多いです。"
KOREAN = "서울의 가을은 하늘이 높고 맑아서 많은 사람들이 공원을 걷거나 산에 오르며 단풍을 즐긴다."
RUSSIAN = "Осенью в Москве рано темнеет, и прохожие торопятся домой, пряча лица от холодного ветра и дождя."
FRENCH = "L’été à la plage, les élèves français préfèrent déjà les glaces à la crème brûlée."

# A long head without a character beyond ASCII.
STYLE = f"<style>{'a { color: red }' * 1_000}</style>"


def page(text: str, charset: str | None = None, head: str = "") -> str:
    meta = f'<meta charset="{charset}">' if charset else ""
    return f"<html><head>{meta}{head}<title>{text[:8]}</title></head><body><p>{text}</p></body></html>"


@pytest.mark.parametrize(
    ("text", "encoding", "meta", "header", "head"),
    [
        (CHINESE, "gbk", "gb2312", None, ""),
        (CHINESE, "gbk", "GBK", None, ""),
        (CHINESE, "gbk", None, "gb2312", ""),
        (CHINESE + "㐂龘𠀀", "gb18030", "gb2312", None, ""),
        (CHINESE, "gbk", None, None, ""),
        (CHINESE, "gbk", None, None, STYLE),
        (CHINESE, "gbk", "utf-8", None, ""),
        (CHINESE, "gbk", None, "utf-8", ""),
        (CHINESE, "gbk", "gbk", "iso-8859-1", ""),
        (CHINESE, "gbk", None, "iso-8859-1", ""),
        (CHINESE, "utf-8", "gbk", None, ""),
        (CHINESE, "utf-8", None, "gb2312", ""),
        (CHINESE, "utf-8", None, "iso-8859-1", ""),
        (CHINESE, "utf-8", None, None, ""),
        ("你好", "utf-8", "gbk", None, ""),
        ("你好", "gbk", "gbk", None, ""),
        # Its GBK bytes are valid UTF-8, of two-byte characters.
        ("联通", "gbk", "gbk", None, ""),
        (TRADITIONAL, "big5", "big5", None, ""),
        (TRADITIONAL, "big5", None, None, ""),
        (JAPANESE, "shift_jis", "Shift_JIS", None, ""),
        (JAPANESE, "shift_jis", None, None, ""),
        (JAPANESE, "euc_jp", None, "EUC-JP", ""),
        (KOREAN, "euc_kr", "euc-kr", None, ""),
        (RUSSIAN, "windows-1251", None, "windows-1251", ""),
        (RUSSIAN, "windows-1251", None, None, ""),
        (FRENCH, "windows-1252", None, "iso-8859-1", ""),
        (FRENCH, "utf-8", "iso-8859-1", "windows-1252", ""),
        (FRENCH, "utf-8", "nonsense", "punycode", ""),
        (CHINESE, "utf-16-le", None, "utf-16le", ""),
    ],
)
def test_decode(text: str, encoding: str, meta: str | None, header: str | None, head: str) -> None:
    whole = page(text, meta, head)
    assert decode(whole.encode(encoding), header, markup=True).text == whole


# Each page of a news site in each of six disguises; a detector alone fails where the head is long, or text
# short.
@pytest.mark.parametrize("length", [12, 60, 400])
@pytest.mark.parametrize("start", range(0, 50, 7))
@pytest.mark.parametrize(
    ("encoding", "meta", "head"),
    [
        pytest.param("gbk", "gb2312", "", id="GBK called gb2312"),
        pytest.param("gbk", None, "", id="GBK without a label"),
        pytest.param("gbk", None, STYLE, id="GBK without a label behind 17 KB of ASCII"),
        pytest.param("gbk", "utf-8", "", id="GBK called UTF-8"),
        pytest.param("utf-8", "gbk", "", id="UTF-8 called GBK"),
        pytest.param("utf-8", None, "", id="UTF-8 without a label"),
    ],
)
def test_chinese_pages(encoding: str, meta: str | None, head: str, start: int, length: int) -> None:
    whole = page((CHINESE * 10)[start : start + length], meta, head)
    assert decode(whole.encode(encoding), markup=True).text == whole


@pytest.mark.parametrize("length", [12, 40, 400])
@pytest.mark.parametrize("meta", ["big5", None, "utf-8"])
def test_traditional_chinese_pages(meta: str | None, length: int) -> None:
    whole = page((TRADITIONAL * 10)[:length], meta)
    assert decode(whole.encode("big5"), markup=True).text == whole


@pytest.mark.parametrize(
    ("mark", "encoding"),
    [
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
    ],
)
def test_a_byte_order_mark_is_believed_before_any_label(mark: bytes, encoding: str) -> None:
    assert decode(mark + CHINESE.encode(encoding), "gbk", markup=True).text == CHINESE


def test_one_broken_byte_costs_one_character() -> None:
    body = page(CHINESE, "gbk").encode("gbk").replace(b"</p>", b"\xff</p>")
    assert CHINESE in decode(body, markup=True).text


@pytest.mark.parametrize("body", [b"", b"plain", b"\xff", bytes(range(256)), b"\x80\x81" * 50])
@pytest.mark.parametrize("label", [None, "utf-8", "gbk", "zlib", "unicode_escape", "x\0y"])
def test_anything_can_be_decoded(body: bytes, label: str | None) -> None:
    decode(body, label, markup=True)


@pytest.mark.parametrize(
    ("text", "encoding", "label"),
    [
        # A detector takes it for UTF-8 that is broken.
        ("花見を楽", "shift_jis", None),
        # A detector takes it for Chinese.
        (RUSSIAN[:12], "koi8-r", "koi8-r"),
        (CHINESE[:12], "gb18030", "latin-1"),
        (FRENCH, "cp1252", "utf-8"),
        (CHINESE[:7], "utf-8", "gbk"),
    ],
)
def test_text_without_markup(text: str, encoding: str, label: str | None) -> None:
    decoded = decode(text.encode(encoding), label)
    assert (decoded.text, decoded.fits) == (text, True)


@pytest.mark.parametrize("missing", range(4))
@pytest.mark.parametrize(
    ("text", "encoding"), [(CHINESE, "utf-8"), (CHINESE, "gb18030"), (JAPANESE, "shift_jis")]
)
def test_the_beginning_of_a_text_may_end_in_a_character(text: str, encoding: str, missing: int) -> None:
    data = text.encode(encoding)
    decoded = decode(data[: len(data) - missing], cut=True)
    assert text.startswith(decoded.text)
    assert len(decoded.text) >= len(text) - 2


def test_what_no_charset_fits_says_so() -> None:
    decoded = decode(b"\xff\xfe\x00\xd8\x00\xd8a\x00")
    assert (decoded.charset, decoded.fits) == ("utf-16-le", False)
