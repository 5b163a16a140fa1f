"""Publishes the stand-in for the Lambda Web Adapter where the template looks for the real one."""

import io
import re
import zipfile
from pathlib import Path
from typing import Any

from tests.deployed.sam import ARCHITECTURE
from tests.unit.template.template import ROOT

# The emulator imports a handler `chat/run.sh` as `sh` of `chat.run`, which this module is. The function's own
# package `chat` stays whole beside it.
_RUN = """\
from functools import cache
from web_adapter import answer, of_function

started = cache(lambda: of_function("chat/run.sh"))

def sh(event, context):
    return answer(started(), event)
"""
_PACKAGE = "from pkgutil import extend_path\n\n__path__ = extend_path(__path__, __name__)\n"


def adapter_account() -> str:
    """The account that owns the adapter's layer."""
    return _named()[0]


def publish_adapter(owner: Any) -> None:
    """Publish the stand-in under the adapter's own name and version, for every account.

    Args:
        owner: A Lambda client of `adapter_account()`.
    """
    _, name, version = _named()
    while owner.publish_layer_version(LayerName=name, Content={"ZipFile": _zipped()})["Version"] < version:
        pass
    owner.add_layer_version_permission(
        LayerName=name,
        VersionNumber=version,
        StatementId="everyone",
        Action="lambda:GetLayerVersion",
        Principal="*",
    )


def _named() -> tuple[str, str, int]:
    found = re.search(r":(\d{12}):layer:(\w+)\$\{Machine\}:(\d+)", (ROOT / "template.yaml").read_text())
    assert found is not None, "the template names no web adapter"
    machine = "Arm64" if ARCHITECTURE == "arm64" else "X86"
    return found[1], f"{found[2]}{machine}", int(found[3])


def _zipped() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.write(Path(__file__).with_name("web_adapter.py"), "python/web_adapter.py")
        archive.writestr("python/chat/__init__.py", _PACKAGE)
        archive.writestr("python/chat/run.py", _RUN)
    return packed.getvalue()
