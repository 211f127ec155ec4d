"""Audio stores in object storage: S3 (and what speaks like it) and Azure Blob, on top of
django-storages.

What django-storages leaves to chance is fixed here. A store that hangs fails within seconds
(`S3_PATIENCE`, `AZURE_PATIENCE`): the sealer tries again later, an export answers 503. An object is
sent in one request with its MD5, which the service compares before it says yes, and `holds` asks
afterwards what is really there. Errors are those of `calls.storage`, so nobody else needs to know
what a botocore or an Azure exception is. Clients are shared between threads, which both makers
allow; boto3's resources, which django-storages shares, are not made for it.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from hashlib import md5
from typing import Any

from azure.core.exceptions import AzureError
from azure.storage.blob import BlobClient, BlobServiceClient, ContentSettings, LinearRetry
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from django.core.files.base import ContentFile, File
from storages.backends.azure_storage import AzureStorage
from storages.backends.s3 import S3Storage
from urllib3.exceptions import HTTPError

from calls.storage import AudioStorage, StoredObject, StoreUnreachable

CONTENT_TYPE = "audio/flac"
CONNECT_SECONDS = 2
READ_SECONDS = 4
"""How long the service may be silent. It answers for objects of some 100 kB in 10 to 100 ms."""
RETRIES = 1
SLOWEST_BYTES_PER_SECOND = 250_000
"""Of an upload that still counts as going on: with SEGMENT_SECONDS=600 an object has 20 MB."""

S3_PATIENCE = Config(
    connect_timeout=CONNECT_SECONDS,
    read_timeout=READ_SECONDS,
    retries={"total_max_attempts": 1 + RETRIES, "mode": "standard"},
    # Many that speak S3 do not know AWS's newer checksums; Content-MD5, which is sent instead, all
    # do.
    request_checksum_calculation="when_required",
    response_checksum_validation="when_required",
)
AZURE_PATIENCE: dict[str, Any] = {
    "connection_timeout": CONNECT_SECONDS,
    "read_timeout": READ_SECONDS,
    "retry_policy": LinearRetry(backoff=0, retry_total=RETRIES, random_jitter_range=0),
}


class _RemoteStorage(AudioStorage):
    """What both have in common."""

    def exists(self, name: str) -> bool:
        try:
            self.size(name)
        except FileNotFoundError:
            return False
        return True


class S3AudioStorage(_RemoteStorage, S3Storage):  # type: ignore[misc] # django-storages is untyped
    """One bucket. An object is verified by its ETag where that is its MD5, otherwise it is read
    back.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"client_config": S3_PATIENCE, **options})

    @cached_property
    def client(self) -> Any:
        return self._create_session().client(
            "s3",
            region_name=self.region_name,
            use_ssl=self.use_ssl,
            endpoint_url=self.endpoint_url,
            config=self.client_config,
            verify=self.verify,
        )

    def read_range(self, name: str, start: int, end: int) -> bytes:
        if end <= start:
            self.size(name)
            return b""
        try:
            return self._read(name, Range=f"bytes={start}-{end - 1}")
        except StoreUnreachable as error:
            if _s3_code(error.__cause__) == "InvalidRange":  # it begins where the object has ended
                return b""
            raise

    def objects(self, prefix: str = "", after: str = "") -> Iterator[StoredObject]:
        pages = self.client.get_paginator("list_objects_v2").paginate(
            Bucket=self.bucket_name, Prefix=prefix, StartAfter=after
        )
        with _s3_words(prefix):
            for page in pages:
                for entry in page.get("Contents", ()):
                    yield StoredObject(entry["Key"], entry["Size"], entry["LastModified"])

    def holds(self, name: str, content: bytes) -> bool:
        head = self._head(name)
        if head["ContentLength"] != len(content):
            return False
        # With SSE-KMS, SSE-C and some that only speak like S3 an ETag is no MD5.
        return head["ETag"].strip('"') == _md5(content).hex() or super().holds(name, content)

    def size(self, name: str) -> int:
        return int(self._head(name)["ContentLength"])

    def delete(self, name: str) -> None:
        with _s3_words(name):
            self.client.delete_object(**self._named(name))

    def _open(self, name: str, mode: str = "rb") -> File[Any]:
        return ContentFile(self._read(name), name=name)

    def _save(self, name: str, content: File[Any]) -> str:
        body = content.read()
        md5_text = b64encode(_md5(body)).decode()
        options = {"ContentType": CONTENT_TYPE, **self.get_object_parameters(name)}
        with _s3_words(name):
            self.client.put_object(**self._named(name), Body=body, ContentMD5=md5_text, **options)
        return name

    def _read(self, name: str, **options: str) -> bytes:
        with _s3_words(name):
            answer = self.client.get_object(**self._named(name), **options)
            content: bytes = answer[
                "Body"
            ].read()  # raises where fewer bytes come than were announced
        return content

    def _head(self, name: str) -> dict[str, Any]:
        with _s3_words(name):
            head: dict[str, Any] = self.client.head_object(**self._named(name))
        return head

    def _named(self, name: str) -> dict[str, str]:
        return {"Bucket": self.bucket_name, "Key": self._normalize_name(name)}


class AzureAudioStorage(_RemoteStorage, AzureStorage):  # type: ignore[misc] # django-storages is untyped
    """One container. An object is verified by the MD5 that the service made of it, or else it is
    read back.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"timeout": READ_SECONDS, "upload_max_conn": 1, **options})

    def read_range(self, name: str, start: int, end: int) -> bytes:
        if end <= start:
            self.size(name)
            return b""
        try:
            return self._read(name, offset=start, length=end - start)
        except StoreUnreachable as error:
            if _azure_code(error.__cause__) == "InvalidRange":
                return b""
            raise

    def objects(self, prefix: str = "", after: str = "") -> Iterator[StoredObject]:
        with _azure_words(prefix):
            for blob in self.client.list_blobs(name_starts_with=prefix or None):
                if blob.name > after:  # the service can only go on from a page, not from a name
                    yield StoredObject(blob.name, blob.size, blob.last_modified)

    def holds(self, name: str, content: bytes) -> bool:
        with _azure_words(name):
            properties = self._blob(name).get_blob_properties(timeout=self.timeout)
        if properties.size != len(content):
            return False
        made_by_service = (
            properties.content_settings.content_md5
        )  # none for what was sent in blocks (above 64 MiB)
        return bytes(made_by_service or b"") == _md5(content) or super().holds(name, content)

    def size(self, name: str) -> int:
        with _azure_words(name):
            return int(self._blob(name).get_blob_properties(timeout=self.timeout).size)

    def delete(self, name: str) -> None:
        try:
            with _azure_words(name):
                self._blob(name).delete_blob(timeout=self.timeout)
        except FileNotFoundError:
            return

    def _open(self, name: str, mode: str = "rb") -> File[Any]:
        return ContentFile(self._read(name), name=name)

    def _save(self, name: str, content: File[Any]) -> str:
        body = content.read()
        settings = ContentSettings(
            **{"content_type": CONTENT_TYPE, **self.get_object_parameters(name)}
        )
        # All are for the whole of the body: until the kernel has it (urllib3 sends it under the
        # timeout of the connection), until the service has taken it from there, and what the
        # service itself
        # allows.
        seconds = len(body) // SLOWEST_BYTES_PER_SECOND
        patience = {
            "connection_timeout": CONNECT_SECONDS + seconds,
            "read_timeout": READ_SECONDS + seconds,
            "timeout": self.timeout + seconds,
        }
        with _azure_words(name):
            self._blob(name).upload_blob(
                body, overwrite=True, validate_content=True, content_settings=settings, **patience
            )
        return name

    def _read(self, name: str, offset: int | None = None, length: int | None = None) -> bytes:
        with _azure_words(name):
            return self._blob(name).download_blob(offset, length, timeout=self.timeout).readall()

    def _blob(self, name: str) -> BlobClient:
        blob: BlobClient = self.client.get_blob_client(self._get_valid_path(name))
        return blob

    def _get_service_client(self) -> BlobServiceClient:
        options = {
            **AZURE_PATIENCE,
            **self.client_options,
        }  # django-storages drops them where there is a string
        return BlobServiceClient.from_connection_string(self.connection_string, **options)


@contextmanager
def _s3_words(name: str) -> Iterator[None]:
    try:
        yield
    except (ClientError, BotoCoreError, HTTPError) as error:
        if _s3_code(error) in {"404", "NoSuchKey"}:
            raise FileNotFoundError(name) from error
        raise StoreUnreachable(_s3_code(error) or type(error).__name__) from error


def _s3_code(error: BaseException | None) -> str:
    """The service's own word, such as `NoSuchKey`; "" where it did not answer."""
    return (
        str(error.response.get("Error", {}).get("Code", ""))
        if isinstance(error, ClientError)
        else ""
    )


@contextmanager
def _azure_words(name: str) -> Iterator[None]:
    try:
        yield
    except AzureError as error:
        if _azure_code(error) == "BlobNotFound":  # and not: no such container
            raise FileNotFoundError(name) from error
        raise StoreUnreachable(_azure_code(error) or type(error).__name__) from error


def _azure_code(error: BaseException | None) -> str:
    """The service's own word, such as `BlobNotFound`; "" where it did not answer."""
    code = getattr(error, "error_code", None)
    return str(getattr(code, "value", code) or "")


def _md5(content: bytes) -> bytes:
    """Against accidents, not against attackers: it is what both services compare."""
    return md5(content, usedforsecurity=False).digest()
