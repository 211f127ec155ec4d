"""S3 (moto's server) and Azure Blob (Azurite) in separate processes that a test can pause or kill.

    with S3() as store, store.in_use():
        ...  # settings.AUDIO_STORE is "s3", and its bucket exists

Both keep everything in memory and listen on loopback only.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Self
from urllib.error import HTTPError, URLError
from urllib.parse import unquote
from urllib.request import urlopen

from django.conf import settings
from django.test import override_settings
from django.utils.module_loading import import_string

from calls.storage import AudioStorage, audio_store
from tests import machine
from tests.servers import free_port

START_SECONDS = 60.0
AZURE_KEY = (
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)
"""The account key of every Azurite, published by Microsoft."""


class ObjectStore(ABC):
    """One server; `name` is its value of AUDIO_STORE."""

    name: str

    def __init__(self) -> None:
        self.port = free_port()
        self._folder = TemporaryDirectory(prefix=f"acsmedia-{self.name}-")
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        command = self._command()  # skips the test if the program is missing
        with self._log_file.open("wb") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self._folder.name)
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            assert self._process.poll() is None, f"it exited at start:\n{self._log()}"
            assert time.monotonic() < deadline, (
                f"no answer after {START_SECONDS:.0f} s:\n{self._log()}"
            )
            time.sleep(0.05)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.kill()
        self._folder.cleanup()

    def kill(self) -> None:
        """Sends SIGKILL: connections are refused from now on."""
        process, self._process = self._process, None
        if process:
            process.kill()
            process.wait()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Pauses the server: it accepts connections and never answers."""
        assert self._process, "it runs"
        os.kill(self._process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self._process.pid, signal.SIGCONT)

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Makes this the audio store of the settings, with its bucket or container."""
        with override_settings(
            AUDIO_STORE=self.name, STORAGES={**settings.STORAGES, "audio": self.storage()}
        ):
            self._create_bucket(audio_store())
            yield

    def opened(self) -> AudioStorage:
        """Returns the storage, independent of the settings, with its bucket or container."""
        entry = self.storage()
        store: AudioStorage = import_string(entry["BACKEND"])(**entry["OPTIONS"])
        self._create_bucket(store)
        return store

    def environment(self, port: int = 0) -> dict[str, str]:
        """Returns variables for another process. `port` is that of a proxy in between, if any."""
        return {"AUDIO_STORE": self.name, **self._variables(port or self.port)}

    @abstractmethod
    def storage(self) -> dict[str, Any]:
        """Returns the entry of STORAGES."""

    @abstractmethod
    def name_at(self, path: str) -> str:
        """Returns the name of the object that a request path addresses."""

    @abstractmethod
    def _variables(self, port: int) -> dict[str, str]: ...

    @abstractmethod
    def _command(self) -> list[str]: ...

    @abstractmethod
    def _create_bucket(self, store: Any) -> None:
        """Creates the bucket or container if missing."""

    @property
    def _log_file(self) -> Path:
        return Path(self._folder.name) / "log"

    def _log(self) -> str:
        return self._log_file.read_text(errors="replace")[-2000:]

    def _answers(self) -> bool:
        try:
            with urlopen(f"http://127.0.0.1:{self.port}/", timeout=5):
                return True
        except HTTPError:  # an answer too
            return True
        except (URLError, OSError):
            return False


class S3(ObjectStore):
    name = "s3"

    def storage(self) -> dict[str, Any]:
        keys = {"access_key": "key", "secret_key": "secret", "region_name": "us-east-1"}
        options = {
            "bucket_name": "recordings",
            "endpoint_url": f"http://127.0.0.1:{self.port}",
            **keys,
        }
        return {"BACKEND": "calls.storage.object_storage.S3AudioStorage", "OPTIONS": options}

    def name_at(self, path: str) -> str:
        return unquote(path).removeprefix("/recordings/")

    def _variables(self, port: int) -> dict[str, str]:
        return {
            "S3_BUCKET": "recordings",
            "S3_ENDPOINT_URL": f"http://127.0.0.1:{port}",
            "S3_REGION": "us-east-1",
            "S3_ACCESS_KEY_ID": "key",
            "S3_SECRET_ACCESS_KEY": "secret",
        }

    def _command(self) -> list[str]:
        address = ["--host", "127.0.0.1", "--port", str(self.port)]
        return [sys.executable, "-m", "moto.server", *address]

    def _create_bucket(self, store: Any) -> None:
        with suppress(store.client.exceptions.BucketAlreadyOwnedByYou):
            store.client.create_bucket(Bucket="recordings")


class Azure(ObjectStore):
    name = "azure"

    def _connection_string(self, port: int) -> str:
        endpoint = f"http://127.0.0.1:{port}/devstoreaccount1"
        account = (
            f"DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey={AZURE_KEY}"
        )
        return f"{account};BlobEndpoint={endpoint};"

    def storage(self) -> dict[str, Any]:
        options = {
            "azure_container": "recordings",
            "connection_string": self._connection_string(self.port),
        }
        return {"BACKEND": "calls.storage.object_storage.AzureAudioStorage", "OPTIONS": options}

    def name_at(self, path: str) -> str:
        return unquote(path).removeprefix("/devstoreaccount1/recordings/")

    def _variables(self, port: int) -> dict[str, str]:
        container = {"AZURE_CONTAINER": "recordings"}
        return {**container, "AZURE_STORAGE_CONNECTION_STRING": self._connection_string(port)}

    def _command(self) -> list[str]:
        listen = ["--blobHost", "127.0.0.1", "--blobPort", str(self.port)]
        return [
            *(str(machine.node()), str(machine.azurite().resolve()), *listen),
            *("--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry", "--silent"),
        ]

    def _create_bucket(self, store: Any) -> None:
        if not store.client.exists():
            store.client.create_container()
