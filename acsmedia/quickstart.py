"""`make run` and `make demo`: the real server on the embedded default, ready to be looked at.

    python -m acsmedia.quickstart run
    python -m acsmedia.quickstart demo
    python -m acsmedia.quickstart manage changepassword operator

The first start makes what production asks a person for: SECRET_KEY and ACS_STREAM_TOKEN as files in
DATA_DIR that only their owner can read, the database, and the user `operator`. Whatever the
environment already sets is left as it is. `manage` is Django's command line with the same settings.
"""

from __future__ import annotations

import http.client
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext, suppress
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import NoReturn
from urllib.parse import quote

import django
from environs import EnvError, FileAwareEnv

from acsmedia.servers.commands import STOP_SECONDS, command

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 60.0
OPERATOR = "operator"
# the check that warns of plain HTTP: here it is meant, and the greeting says it
PLAIN_HTTP = "acsmedia.W005"


class CannotStart(Exception):
    """What keeps the server from starting; the message is for whoever typed the command."""


def main(arguments: list[str]) -> int:
    """Runs the action named first; returns the exit code."""
    action = arguments[0] if arguments else ""
    if action not in {"run", "demo", "manage"}:
        sys.stderr.write("usage: python -m acsmedia.quickstart run|demo|manage [argument ...]\n")
        return 2
    try:
        prepare_environment()
        if action == "manage":
            return manage(arguments[1:])
        return serve(demo=action == "demo")
    except CannotStart as error:
        sys.stderr.write(f"acsmedia: {error}\n")
        return 1


def prepare_environment() -> None:
    """Sets what production wants to be told and a first look can decide; makes the secrets at the
    first start.
    """
    data_dir = Path(os.environ.get("DATA_DIR") or ROOT / "var").resolve()
    data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)  # recordings are nobody else's business
    host = listening_host()
    names = [
        "localhost",
        "127.0.0.1",
        "[::1]",
        socket.gethostname(),
        f"[{host}]" if ":" in host else host,
    ]
    _set("DATA_DIR", str(data_dir))
    _set("DJANGO_SETTINGS_MODULE", "acsmedia.settings")
    _set("INSECURE_HTTP", "true")
    _set("ALLOWED_HOSTS", ",".join(dict.fromkeys(names)))
    _set("ACS_AUTH", "token")
    _set_secret("SECRET_KEY", data_dir / "secret_key")
    if os.environ["ACS_AUTH"] == "token":
        _set_secret("ACS_STREAM_TOKEN", data_dir / "stream_token")
    try:
        import_module(os.environ["DJANGO_SETTINGS_MODULE"])
    except (EnvError, ValueError) as error:
        raise CannotStart(str(error)) from error
    django.setup()


def manage(arguments: list[str]) -> int:
    """Django's own command line."""
    from django.core.management import execute_from_command_line

    execute_from_command_line(["manage.py", *arguments])
    return 0


def serve(*, demo: bool) -> int:
    """Prepares the data, starts the server (and the simulated calls), waits until one of them ends
    or Ctrl-C.
    """
    host, port = listening_host(), listening_port()
    refuse_a_port_in_use(host, port)
    migrate()
    try:
        with ended_by_signals(), running(server_command(host, port)) as server:
            wait_until_it_answers(server, host, port)
            password = (
                make_operator()
            )  # not before all else went well: this is the only time that it is shown
            sys.stdout.write(greeting(host, port, password, demo=demo))
            sys.stdout.flush()
            if not demo:
                return server.wait()
            with running(
                demo_command(host, port), log=Path(os.environ["DATA_DIR"]) / "demo.log"
            ) as calls:
                return first_end({"the server": server, "the simulated calls": calls})
    except KeyboardInterrupt:
        sys.stdout.write("\nStopped.\n")
        return 0


def listening_host() -> str:
    return os.environ.get("HOST") or "127.0.0.1"


def listening_port() -> int:
    port = os.environ.get("PORT") or "8000"
    if not port.isdecimal() or not 0 < int(port) < 65536:
        raise CannotStart(f"PORT is {port!r}; it must be a number from 1 to 65535")
    return int(port)


def server_command(host: str, port: int) -> list[str]:
    try:
        return command(os.environ.get("SERVER") or "daphne", host, port)
    except ValueError as error:
        raise CannotStart(str(error)) from error


def demo_command(host: str, port: int) -> list[str]:
    """Three spoken calls in a loop; the simulator finds the stream token where the server does."""
    url = f"ws://{address(host, port)}/ws/acs/media"
    return [
        sys.executable,
        str(ROOT / "manage.py"),
        "simulate",
        "--url",
        url,
        "--voices",
        "--loop",
        "--stagger",
        "3",
    ]


def refuse_a_port_in_use(host: str, port: int) -> None:
    """Says so before anything is made.

    Raises:
        CannotStart: HOST is no address of this machine, or something listens there.
    """
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[
            0
        ]
        with socket.socket(family, kind, protocol) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind(place)
    except OSError as error:
        hint = f"stop what listens there, or choose another: make run PORT={port + 1}"
        raise CannotStart(
            f"cannot listen on HOST {host}, PORT {port} ({error.strerror}): {hint}"
        ) from error


def migrate() -> None:
    """Checks the settings and makes the database, or brings it up to date.

    Raises:
        CannotStart: what the checks found, by the names of the variables.
    """
    from django.core import checks
    from django.core.management import call_command

    found = [message for message in checks.run_checks() if message.id != PLAIN_HTTP]
    sys.stderr.write(
        "".join(f"acsmedia: {message}\n" for message in found if not message.is_serious())
    )
    if errors := [str(message) for message in found if message.is_serious()]:
        raise CannotStart("\n".join(errors))
    call_command("migrate", verbosity=0)


def make_operator() -> str:
    """Makes the user at the first start; returns its password, "" if it has been there before."""
    from django.contrib.auth.models import User

    if User.objects.filter(username=OPERATOR).exists():
        return ""
    password: str = FileAwareEnv(strip_whitespace=True).str(
        "OPERATOR_PASSWORD", ""
    ) or secrets.token_urlsafe(12)
    User.objects.create_superuser(OPERATOR, password=password)
    return password


def wait_until_it_answers(server: subprocess.Popen[bytes], host: str, port: int) -> None:
    """Raises CannotStart if the server ends, or does not answer `/healthz` in time."""
    deadline = time.monotonic() + START_SECONDS
    while not _answers(reachable(host), port):
        if server.poll() is not None:
            raise CannotStart(f"the server ended at its start with code {server.returncode}")
        if time.monotonic() > deadline:
            raise CannotStart(f"the server did not answer within {START_SECONDS:.0f} s")
        time.sleep(0.05)


def greeting(host: str, port: int, password: str, *, demo: bool) -> str:
    """What a person needs to go on, the secrets included: it goes to their terminal and to no
    log.
    """
    from django.conf import settings

    where = address(host, port)
    reset = (
        f'unchanged since the first start; a new one: make manage do="changepassword {OPERATOR}"'
    )
    token = (
        f"?token={quote(settings.ACS_STREAM_TOKEN, safe='')}" if settings.ACS_STREAM_TOKEN else ""
    )
    token_command = f'make manage do="drf_create_token {OPERATOR}"'
    lines = [
        "",
        "acsmedia is running, for a first look: over plain HTTP, with everything in "
        + os.environ["DATA_DIR"],
        "",
        f"  dashboard     http://{where}/",
        f"  user          {OPERATOR}",
        f"  password      {password or reset}",
        f"  admin         http://{where}/admin/",
        f"  REST          http://{where}/api/docs/   (a token: {token_command})",
        f"  ACS connects  ws://{where}/ws/acs/media{token}",
    ]
    if demo:
        lines += ["", "Three spoken calls play in a loop; the first can be played within a minute."]
    return "\n".join([*lines, "", "Ctrl-C stops it.", "", ""])


def reachable(host: str) -> str:
    """Where a client on this machine finds a server that listens on `host`."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound


def address(host: str, port: int) -> str:
    """The same as it is written in a URL."""
    here = reachable(host)
    return f"[{here}]:{port}" if ":" in here else f"{here}:{port}"


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """SIGTERM and a closed terminal end us as Ctrl-C does, so that our processes end with us."""

    def end(_number: int, _frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, former in before.items():
            signal.signal(number, former)


@contextmanager
def running(arguments: list[str], *, log: Path | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """A process that ends when we leave. In a group of its own: Ctrl-C reaches us alone, and we
    stop it in order.
    """
    with log.open("wb") if log else nullcontext() as output:
        process = subprocess.Popen(  # noqa: S603 - our own command lines
            arguments, cwd=ROOT, stdout=output, stderr=output, process_group=0
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS + 5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def first_end(processes: dict[str, subprocess.Popen[bytes]]) -> int:
    """Waits until one of them ends; returns its exit code."""
    while True:
        for name, process in processes.items():
            with suppress(subprocess.TimeoutExpired):
                code = process.wait(0.2)
                sys.stderr.write(f"acsmedia: {name} ended with code {code}\n")
                return code


def _set(name: str, value: str) -> None:
    """Sets an environment variable unless it is set, to a value or by a file."""
    if not os.environ.get(name) and not os.environ.get(f"{name}_FILE"):
        os.environ[name] = value


def _set_secret(name: str, file: Path) -> None:
    """Points `name`_FILE at a file that holds a random secret, made now if it is not there."""
    if os.environ.get(name) or os.environ.get(f"{name}_FILE"):
        return
    if not file.exists():
        partial = file.with_name(f".{file.name}.{os.getpid()}")
        partial.touch(mode=0o600, exist_ok=False)
        partial.write_text(secrets.token_urlsafe(48))
        partial.replace(file)
    os.environ.pop(name, None)
    os.environ[f"{name}_FILE"] = str(file)


def _answers(host: str, port: int) -> bool:
    """Asks directly: urllib would go through a proxy of the environment."""
    with closing(http.client.HTTPConnection(host, port, timeout=5)) as connection:
        try:
            connection.request("GET", "/healthz")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
