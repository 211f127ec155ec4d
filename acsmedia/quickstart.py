"""`make run` and `make demo`: the real server on SQLite and local files, ready to try out.

    python -m acsmedia.quickstart run
    python -m acsmedia.quickstart demo
    python -m acsmedia.quickstart manage changepassword operator

The first start creates everything that a person provides in production: SECRET_KEY and
ACS_STREAM_TOKEN, as files in DATA_DIR that only their owner can read, the database, and the user
`operator`. Variables that are already set in the environment are not changed. `manage` is Django's
command line with the same settings.
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
PLAIN_HTTP = "acsmedia.W005"
"""The check that warns about plain HTTP, which is intended here and mentioned in the greeting."""

NEW_PASSWORD = f'make manage do="changepassword {OPERATOR}"'
NEW_REST_TOKEN = f'make manage do="drf_create_token {OPERATOR}"'


class CannotStart(Exception):
    """The server cannot start. The message is for the user who ran the command."""


def main(arguments: list[str]) -> int:
    """Runs the action named by the first argument; returns the exit code."""
    action = arguments[0] if arguments else ""
    if action not in {"run", "demo", "manage"}:
        sys.stderr.write("usage: python -m acsmedia.quickstart run|demo|manage [argument ...]\n")
        return 2
    if action == "demo":
        _set("COVERAGE_DELAY_SECONDS", "15")  # so that its calls are judged while somebody looks
    try:
        prepare_environment()
        if action == "manage":
            return manage(arguments[1:])
        return serve(demo=action == "demo")
    except CannotStart as error:
        sys.stderr.write(f"acsmedia: {error}\n")
        return 1


def prepare_environment() -> None:
    """Sets the variables that production requires to defaults for this host, and creates secrets.

    Raises:
        CannotStart: a variable has an invalid value; the message names it.
    """
    data_dir = Path(os.environ.get("DATA_DIR") or ROOT / "var").resolve()
    data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)  # recordings are private
    host = listening_host()
    names = ["localhost", "127.0.0.1", "[::1]", socket.gethostname()]
    names.append(f"[{host}]" if ":" in host else host)
    _set("DATA_DIR", str(data_dir))
    _set("DJANGO_SETTINGS_MODULE", "acsmedia.settings")
    _set("INSECURE_HTTP", "true")
    _set("ALLOWED_HOSTS", ",".join(dict.fromkeys(names)))
    _set("ACS_AUTH", "token")
    _set_secret("SECRET_KEY", data_dir / "secret_key")
    if os.environ["ACS_AUTH"] == "token":
        _set_secret("ACS_STREAM_TOKEN", data_dir / "stream_token")
    _set_secret("ACS_EVENTS_TOKEN", data_dir / "events_token")
    try:
        import_module(os.environ["DJANGO_SETTINGS_MODULE"])
    except (EnvError, ValueError) as error:
        raise CannotStart(str(error)) from error
    django.setup()


def manage(arguments: list[str]) -> int:
    """Runs Django's command line."""
    from django.core.management import execute_from_command_line

    execute_from_command_line(["manage.py", *arguments])
    return 0


def serve(*, demo: bool) -> int:
    """Migrates the database, starts the server (and the simulated calls), and waits for one of
    them to end or for Ctrl-C.
    """
    host, port = listening_host(), listening_port()
    check_port_is_free(host, port)
    migrate()
    try:
        with signals_as_interrupts(), running(server_command(host, port)) as server:
            wait_for_server(server, host, port)
            password = create_operator()  # last, because the password is shown only once
            sys.stdout.write(greeting(host, port, password, demo=demo))
            sys.stdout.flush()
            if not demo:
                return server.wait()
            log = Path(os.environ["DATA_DIR"]) / "demo.log"
            with running(demo_command(host, port), log=log) as calls:
                return first_exit({"the server": server, "the simulator": calls})
    except KeyboardInterrupt:
        sys.stdout.write("\nStopped.\n")
        return 0


def listening_host() -> str:
    return os.environ.get("HOST") or "127.0.0.1"


def listening_port() -> int:
    port = os.environ.get("PORT") or "8000"
    if not port.isdecimal() or not 0 < int(port) < 65536:
        raise CannotStart(f"PORT is {port!r}; set it to a number from 1 to 65535")
    return int(port)


def server_command(host: str, port: int) -> list[str]:
    try:
        return command(os.environ.get("SERVER") or "daphne", host, port)
    except ValueError as error:
        raise CannotStart(str(error)) from error


def demo_command(host: str, port: int) -> list[str]:
    """Plays three spoken calls in a loop; the simulator reads the token from the settings."""
    simulate = [sys.executable, str(ROOT / "manage.py"), "simulate"]
    url = f"ws://{address(host, port)}/ws/acs/media"
    events = f"http://{address(host, port)}/webhooks/acs/events"
    return [*simulate, "--url", url, "--events", events, "--voices", "--loop", "--stagger", "3"]


def check_port_is_free(host: str, port: int) -> None:
    """Checks the address before anything is created.

    Raises:
        CannotStart: HOST is not an address of this machine, or the port is in use.
    """
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        family, kind, protocol, _, target = addresses[0]
        with socket.socket(family, kind, protocol) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind(target)
    except OSError as error:
        hint = f"Stop the program that uses this port, or choose another: make run PORT={port + 1}"
        raise CannotStart(
            f"cannot listen on HOST {host}, PORT {port} ({error.strerror}). {hint}"
        ) from error


def migrate() -> None:
    """Checks the settings, then creates the database or applies its migrations.

    Raises:
        CannotStart: a check found an error; the message names the variables.
    """
    from django.core import checks
    from django.core.management import call_command

    messages = [message for message in checks.run_checks() if message.id != PLAIN_HTTP]
    for message in messages:
        if not message.is_serious():
            sys.stderr.write(f"acsmedia: {message}\n")
    if errors := [str(message) for message in messages if message.is_serious()]:
        raise CannotStart("\n".join(errors))
    call_command("migrate", verbosity=0)


def create_operator() -> str:
    """Creates the user at the first start; returns the password, "" if the user exists."""
    from django.contrib.auth.models import User

    if User.objects.filter(username=OPERATOR).exists():
        return ""
    env = FileAwareEnv(strip_whitespace=True)
    password: str = env.str("OPERATOR_PASSWORD", "") or secrets.token_urlsafe(12)
    User.objects.create_superuser(OPERATOR, password=password)
    return password


def wait_for_server(server: subprocess.Popen[bytes], host: str, port: int) -> None:
    """Raises `CannotStart` if the server exits, or does not answer `/healthz` in time."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        # Not with urllib, which would use a proxy from the environment.
        with (
            suppress(OSError, http.client.HTTPException),
            closing(http.client.HTTPConnection(reachable(host), port, timeout=5)) as connection,
        ):
            connection.request("GET", "/healthz")
            if connection.getresponse().status == 200:
                return
        if server.poll() is not None:
            raise CannotStart(f"the server exited while starting, with code {server.returncode}")
        if time.monotonic() > deadline:
            raise CannotStart(f"the server did not answer within {START_SECONDS:.0f} s")
        time.sleep(0.05)


def greeting(host: str, port: int, password: str, *, demo: bool) -> str:
    """Returns the text shown at the start. It contains secrets, so it must not be logged."""
    from django.conf import settings

    url = f"http://{address(host, port)}"
    media = f"ws://{address(host, port)}/ws/acs/media"
    password = password or f"unchanged since the first start; to set a new one: {NEW_PASSWORD}"
    lines = [
        "",
        f"acsmedia is running over plain HTTP, with all data in {os.environ['DATA_DIR']}",
        "",
        f"  dashboard     {url}/",
        f"  coverage      {url}/coverage/",
        f"  user          {OPERATOR}",
        f"  password      {password}",
        f"  admin         {url}/admin/",
        f"  REST          {url}/api/docs/   (create a token: {NEW_REST_TOKEN})",
        f"  ACS endpoint  {media}{_query(settings.ACS_STREAM_TOKEN)}",
        f"  ACS events    {url}/webhooks/acs/events{_query(settings.ACS_EVENTS_TOKEN)}",
    ]
    if demo:
        lines += ["", "Three spoken calls play in a loop; the first is ready within a minute."]
    return "\n".join([*lines, "", "Press Ctrl-C to stop.", "", ""])


def _query(token: str) -> str:
    return f"?token={quote(token, safe='')}" if token else ""


def reachable(host: str) -> str:
    """Returns the address at which a client on this host reaches a server bound to `host`."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound


def address(host: str, port: int) -> str:
    """Returns `host:port` as written in a URL."""
    host = reachable(host)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


@contextmanager
def signals_as_interrupts() -> Iterator[None]:
    """Treats SIGTERM and a closed terminal like Ctrl-C, so that child processes are stopped too."""

    def interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    before = {
        number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)
    }
    try:
        yield
    finally:
        for number, former in before.items():
            signal.signal(number, former)


@contextmanager
def running(arguments: list[str], *, log: Path | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """Runs a process and terminates it on exit.

    It has its own process group, so Ctrl-C reaches only this process, which stops it in order.
    """
    with log.open("wb") if log else nullcontext() as output:
        process = subprocess.Popen(  # noqa: S603 - constant command lines
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


def first_exit(processes: dict[str, subprocess.Popen[bytes]]) -> int:
    """Waits until one of the processes exits; returns its code."""
    while True:
        for name, process in processes.items():
            with suppress(subprocess.TimeoutExpired):
                code = process.wait(0.2)
                sys.stderr.write(f"acsmedia: {name} exited with code {code}\n")
                return code


def _set(name: str, value: str) -> None:
    """Sets an environment variable, unless it has a value or a file."""
    if not os.environ.get(name) and not os.environ.get(f"{name}_FILE"):
        os.environ[name] = value


def _set_secret(name: str, file: Path) -> None:
    """Sets `name`_FILE to a file with a random secret, created if missing."""
    if os.environ.get(name) or os.environ.get(f"{name}_FILE"):
        return
    if not file.exists():
        partial = file.with_name(f".{file.name}.{os.getpid()}")
        partial.touch(mode=0o600, exist_ok=False)
        partial.write_text(secrets.token_urlsafe(48))
        partial.replace(file)
    os.environ.pop(name, None)
    os.environ[f"{name}_FILE"] = str(file)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
