"""S3, SQS and Secrets Manager on 127.0.0.1: ministack, in a virtual environment of its own."""

import asyncio
import fcntl
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from local.process import ROOT, Launcher, LocalError, Program, free_port

REGION = "us-east-1"

_REQUIREMENTS = ROOT / "local" / "ministack.txt"
_ENVIRONMENT = ROOT / ".tools" / "ministack"
_MARK = _ENVIRONMENT / "installed.txt"


@dataclass(frozen=True)
class Tls:
    """Files, in PEM: a certificate for 127.0.0.1, signed by itself, and its key."""

    certificate: Path
    key: Path


@dataclass(frozen=True)
class Cloud:
    """Where the AWS services answer, and the certificate that they show, if they speak HTTPS."""

    endpoint_url: str
    certificate: Path | None = None

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which boto3, unchanged, finds these services. The credentials mean nothing."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_EC2_METADATA_DISABLED": "true",
            # Nor may the user's own profiles lead elsewhere.
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
            **({"AWS_CA_BUNDLE": str(self.certificate)} if self.certificate else {}),
        }


async def start_cloud(
    directory: Path, launcher: Launcher, *, durable: bool = True, strict: Tls | None = None
) -> Cloud:
    """Start services whose objects and, after a clean stop, queues and secrets are kept in `directory`.

    Args:
        directory: Where it keeps its data.
        launcher: What runs it.
        durable: False holds objects in memory, for data that nobody keeps.
        strict: As in AWS, functions are held to the policies of their roles, and all speak HTTPS, with this
            certificate. The credentials of `Cloud` may do everything.

    Raises:
        LocalError: ministack is not there (`install_cloud`), or does not start.
    """
    port = free_port()
    await asyncio.to_thread(_prepare, directory, port)
    child = await launcher.start(
        Program(
            name="cloud",
            argv=[str(_ENVIRONMENT / "bin" / "ministack")],
            environment={
                **_environment(directory, port, durable=durable),
                **(_strictness(strict) if strict else {}),
            },
        )
    )
    await child.ready(lambda: _listens(port))
    if strict:
        return Cloud(f"https://127.0.0.1:{port}", strict.certificate)
    return Cloud(f"http://127.0.0.1:{port}")


def _prepare(directory: Path, port: int) -> None:
    for name in ("state", "objects", "tmp"):
        (directory / name).mkdir(parents=True, exist_ok=True)
    # ministack keeps queues by their URL, port and all: without this, those of the last start are lost.
    queues, port_file = directory / "state" / "sqs.json", directory / "port"
    if queues.exists() and port_file.exists():
        last = port_file.read_text()
        queues.write_text(
            queues.read_text().replace(f"http://127.0.0.1:{last}/", f"http://127.0.0.1:{port}/")
        )
    port_file.write_text(str(port))


def cloud_is_installed() -> bool:
    """Whether ministack is there as `local/ministack.txt` pins it."""
    return _MARK.exists() and _MARK.read_text() == _REQUIREMENTS.read_text()


async def install_cloud() -> None:
    """Install ministack as pinned, unless it is there. Two at once wait for each other.

    Raises:
        LocalError: uv is missing, or cannot install it.
    """
    await asyncio.to_thread(_install)


def _install() -> None:
    _ENVIRONMENT.parent.mkdir(exist_ok=True)
    with _ENVIRONMENT.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if cloud_is_installed():
            return
        _uv("venv", "--quiet", "--clear", f"--python={sys.executable}", str(_ENVIRONMENT))
        python = f"--python={_ENVIRONMENT}/bin/python"
        _uv("pip", "install", "--quiet", python, f"--requirements={_REQUIREMENTS}")
        _MARK.write_text(_REQUIREMENTS.read_text())


def _uv(*arguments: str) -> None:
    beside = Path(sys.executable).with_name("uv")
    uv = str(beside) if beside.exists() else shutil.which("uv")
    if uv is None:
        raise LocalError("uv is missing, which installs ministack: run `make install`.")
    result = subprocess.run([uv, *arguments], capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise LocalError(f"`uv {' '.join(arguments)}` failed: {result.stderr.strip()}")


def _environment(directory: Path, port: int, *, durable: bool) -> dict[str, str]:
    return {
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        # The host in queue URLs: an address, because localhost may mean ::1 first.
        "MINISTACK_HOST": "127.0.0.1",
        "MINISTACK_REGION": REGION,
        "PERSIST_STATE": "1",
        "STATE_DIR": str(directory / "state"),
        "S3_PERSIST": "1" if durable else "0",
        "S3_DATA_DIR": str(directory / "objects"),
        "TMPDIR": str(directory / "tmp"),
        # No MQTT and SFTP listeners, and no look at the machine's Docker.
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "DOCKER_HOST": "unix:///nonexistent",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }


def _strictness(tls: Tls) -> dict[str, str]:
    return {
        "AUTH": "true",
        "USE_SSL": "1",
        "MINISTACK_SSL_CERT": str(tls.certificate),
        "MINISTACK_SSL_KEY": str(tls.key),
        # Functions inherit these.
        "AWS_CA_BUNDLE": str(tls.certificate),
        "SSL_CERT_FILE": str(tls.certificate),
    }


async def _listens(port: int) -> bool:
    # The port opens when the saved state is loaded.
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True
