"""The deployment's nginx configuration in front of real processes, with local paths and ports."""

from __future__ import annotations

import socket
import ssl
import subprocess
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests import machine
from tests.servers import ROOT, free_port

SOURCES = ROOT / "deploy" / "nginx"
START_SECONDS = 20.0


class FrontDoor:
    """nginx with `site` ("tls" or "behind-proxy"), forwarding to the ports `web` and `ingest`.

    `replace` changes the deployed configuration further: text by text.
    """

    def __init__(
        self,
        site: str,
        *,
        web: int,
        ingest: int | Sequence[int],
        replace: Mapping[str, str] | None = None,
    ) -> None:
        ports = [ingest] if isinstance(ingest, int) else ingest
        hosts = " ".join(f"server 127.0.0.1:{port} max_fails=0;" for port in ports)
        self.program = machine.nginx()
        self.http, self.https = free_port(), free_port()
        self._folder = TemporaryDirectory(prefix="acsmedia-nginx-")
        self.folder = Path(self._folder.name)
        self.folder.chmod(0o755)  # if started by root, nginx workers run as another user
        self._process: subprocess.Popen[bytes] | None = None
        replacements = {
            "/etc/nginx/acsmedia/": f"{self.folder}/",
            "/etc/nginx/": f"{self.folder}/",
            f"{self.folder}/mime.types": "/etc/nginx/mime.types",
            "/tmp/nginx": f"{self.folder}/nginx",  # noqa: S108 - text to replace
            "/dev/stdout": f"{self.folder}/access.log",
            "/dev/stderr": f"{self.folder}/error.log",
            "default web:8000;": f"default 127.0.0.1:{web};",
            "default ingest:8000;": "default ingest_hosts;",
            "    # upstream ingest_hosts {\n": f"    upstream ingest_hosts {{ {hosts} }}\n",
            "listen 80 ": f"listen 127.0.0.1:{self.http} ",
            "listen 443 ": f"listen 127.0.0.1:{self.https} ",
            **(replace or {}),
        }
        for name, target in {"nginx": "nginx", "locations": "locations", site: "site"}.items():
            text = (SOURCES / f"{name}.conf").read_text()
            for deployed, local in replacements.items():
                text = text.replace(deployed, local)
            (self.folder / f"{target}.conf").write_text(text)
        self.certificate = write_certificate(self.folder / "tls")

    @property
    def log(self) -> str:
        """Returns nginx's access log and error log."""
        files = [self.folder / "access.log", self.folder / "error.log"]
        return "".join(file.read_text() for file in files if file.exists())

    @property
    def trust(self) -> ssl.SSLContext:
        """Returns a client context that trusts only this certificate."""
        return ssl.create_default_context(cafile=str(self.certificate))

    def __enter__(self) -> Self:
        test = subprocess.run([*self._command(), "-t"], capture_output=True, text=True, check=False)
        assert test.returncode == 0, f"nginx -t:\n{test.stderr}"
        assert "[warn]" not in test.stderr, f"nginx -t:\n{test.stderr}"
        self._process = subprocess.Popen([*self._command(), "-g", "daemon off;"])
        deadline = time.monotonic() + START_SECONDS
        while not listens(self.http):
            assert self._process.poll() is None, f"nginx exited while starting:\n{self.log}"
            assert time.monotonic() < deadline, f"no nginx after {START_SECONDS} s:\n{self.log}"
            time.sleep(0.02)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._process:
            self._process.terminate()
            self._process.wait(20)
        self._folder.cleanup()

    def _command(self) -> list[str]:
        options = ["-e", f"{self.folder}/error.log", "-p", str(self.folder), "-c", "nginx.conf"]
        return [str(self.program), *options]


def listens(port: int) -> bool:
    """Returns whether a loopback port accepts connections."""
    with socket.socket() as trial:
        return trial.connect_ex(("127.0.0.1", port)) == 0


def write_certificate(folder: Path) -> Path:
    """Writes a self-signed certificate for localhost, valid for a day; returns its path."""
    folder.mkdir()
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    names = x509.SubjectAlternativeName(
        [x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]
    )
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(names, critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "fullchain.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private = serialization.PrivateFormat.PKCS8
    (folder / "privkey.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, private, serialization.NoEncryption())
    )
    return folder / "fullchain.pem"
