"""Audio stores in object storage, on top of django-storages: S3 and compatible services, and Azure
Blob.

They differ from django-storages in four ways:

- A store that hangs fails within seconds (`S3_CONFIG`, `AZURE_OPTIONS`): the sealer retries later,
  an export answers 503.
- An object is sent in one request with its MD5, which the service verifies. Afterwards `holds`
  checks the stored object.
- Errors are those of `calls.storage`, so callers need no botocore or Azure exceptions.
- Threads share clients, which both vendors allow. django-storages shares boto3 resources, which are
  not thread-safe.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Sequence
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
"""Longest silence of the service. It takes 10 to 100 ms for objects of some 100 kB."""
RETRIES = 1
SLOWEST_BYTES_PER_SECOND = 250_000
"""A slower upload times out. With SEGMENT_SECONDS=600 an object has 20 MB."""

S3_CONFIG = Config(
    connect_timeout=CONNECT_SECONDS,
    read_timeout=READ_SECONDS,
    retries={"total_max_attempts": 1 + RETRIES, "mode": "standard"},
    # Many S3-compatible services lack AWS's newer checksums; all support Content-MD5, sent instead.
    request_checksum_calculation="when_required",
    response_checksum_validation="when_required",
)
AZURE_OPTIONS: dict[str, Any] = {
    "connection_timeout": CONNECT_SECONDS,
    "read_timeout": READ_SECONDS,
    "retry_policy": LinearRetry(backoff=0, retry_total=RETRIES, random_jitter_range=0),
}


_NOT_OFFERED = {"NotImplemented", "MethodNotAllowed", "405", "501"}
"""Codes of compatible services for requests that they lack."""


class _RemoteStorage(AudioStorage):
    """Reads and stores whole objects, each in one request."""

    def exists(self, name: str) -> bool:
        try:
            self.size(name)
        except FileNotFoundError:
            return False
        return True

    def _open(self, name: str, mode: str = "rb") -> File[Any]:
        return ContentFile(self._read(name), name=name)

    def _save(self, name: str, content: File[Any]) -> str:
        self._upload(name, content.read())
        return name

    def _read(self, name: str) -> bytes:
        raise NotImplementedError

    def _upload(self, name: str, body: bytes) -> None:
        raise NotImplementedError


class S3AudioStorage(_RemoteStorage, S3Storage):  # type: ignore[misc] # django-storages is untyped
    """One bucket. An object is verified by its ETag if that is an MD5, else by reading it back."""

    most_deleted_at_once = 1000  # of DeleteObjects

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"client_config": S3_CONFIG, **options})

    @cached_property
    def client(self) -> Any:
        client = self._create_session().client(
            "s3",
            region_name=self.region_name,
            use_ssl=self.use_ssl,
            endpoint_url=self.endpoint_url,
            config=self.client_config,
            verify=self.verify,
        )
        client.meta.events.register("before-call.s3.DeleteObjects", _add_md5)
        return client

    def check_access(self) -> None:
        with _s3_errors(""):
            self.client.list_objects_v2(Bucket=self.bucket_name, MaxKeys=1)

    def read_range(self, name: str, start: int, end: int) -> bytes:
        if end <= start:
            self.size(name)
            return b""
        try:
            return self._read(name, Range=f"bytes={start}-{end - 1}")
        except StoreUnreachable as error:
            if _s3_code(error.__cause__) == "InvalidRange":  # starts at or after the end
                return b""
            raise

    def objects(self, prefix: str = "", after: str = "") -> Iterator[StoredObject]:
        pages = self.client.get_paginator("list_objects_v2").paginate(
            Bucket=self.bucket_name, Prefix=prefix, StartAfter=after
        )
        with _s3_errors(prefix):
            for page in pages:
                for entry in page.get("Contents", ()):
                    yield StoredObject(entry["Key"], entry["Size"], entry["LastModified"])

    def holds(self, name: str, content: bytes) -> bool:
        head = self._head(name)
        if head["ContentLength"] != len(content):
            return False
        # With SSE-KMS, SSE-C and some compatible services an ETag is not an MD5.
        return head["ETag"].strip('"') == _md5(content).hex() or super().holds(name, content)

    def size(self, name: str) -> int:
        return int(self._head(name)["ContentLength"])

    def delete(self, name: str) -> None:
        with _s3_errors(name):
            self.client.delete_object(**self._address(name))

    def delete_all(self, names: Sequence[str]) -> None:
        if not names:
            return
        keys = [{"Key": self._normalize_name(name)} for name in names]
        try:
            with _s3_errors(names[0]):
                answer = self.client.delete_objects(
                    Bucket=self.bucket_name, Delete={"Objects": keys, "Quiet": True}
                )
        except StoreUnreachable as error:
            if _s3_code(error.__cause__) not in _NOT_OFFERED:
                raise
            super().delete_all(names)  # a compatible service without this request
            return
        if errors := answer.get("Errors"):
            raise StoreUnreachable(str(errors[0].get("Code", "object not deleted")))

    def _upload(self, name: str, body: bytes) -> None:
        md5_text = b64encode(_md5(body)).decode()
        options = {"ContentType": CONTENT_TYPE, **self.get_object_parameters(name)}
        with _s3_errors(name):
            self.client.put_object(**self._address(name), Body=body, ContentMD5=md5_text, **options)

    def _read(self, name: str, **options: str) -> bytes:
        with _s3_errors(name):
            response = self.client.get_object(**self._address(name), **options)
            content: bytes = response["Body"].read()  # raises if the body is shorter than announced
        return content

    def _head(self, name: str) -> dict[str, Any]:
        try:
            with _s3_errors(name):
                head: dict[str, Any] = self.client.head_object(**self._address(name))
        except OSError as error:
            # An answer to HEAD has no body, so no code: a missing bucket is 404 as well.
            if _s3_code(error.__cause__).isdigit():
                self.check_access()
            raise
        return head

    def _address(self, name: str) -> dict[str, str]:
        return {"Bucket": self.bucket_name, "Key": self._normalize_name(name)}


# django-storages is untyped
class AzureAudioStorage(_RemoteStorage, AzureStorage):  # type: ignore[misc]
    """One container. An object is verified by the service's MD5, or by reading it back."""

    most_deleted_at_once = 256  # of a batch request

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"timeout": READ_SECONDS, "upload_max_conn": 1, **options})

    def check_access(self) -> None:
        with _azure_errors(""):
            next(iter(self.client.list_blobs(results_per_page=1, timeout=self.timeout)), None)

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
        with _azure_errors(prefix):
            for blob in self.client.list_blobs(name_starts_with=prefix or None):
                if blob.name > after:  # the service cannot start after a name, only at a page
                    yield StoredObject(blob.name, blob.size, blob.last_modified)

    def holds(self, name: str, content: bytes) -> bool:
        with _azure_errors(name):
            properties = self._blob(name).get_blob_properties(timeout=self.timeout)
        if properties.size != len(content):
            return False
        # None if the object was sent in blocks (over 64 MiB).
        service_md5 = properties.content_settings.content_md5
        return bytes(service_md5 or b"") == _md5(content) or super().holds(name, content)

    def size(self, name: str) -> int:
        with _azure_errors(name):
            return int(self._blob(name).get_blob_properties(timeout=self.timeout).size)

    def delete(self, name: str) -> None:
        try:
            with _azure_errors(name):
                self._blob(name).delete_blob(timeout=self.timeout)
        except FileNotFoundError:
            return

    def delete_all(self, names: Sequence[str]) -> None:
        if not names:
            return
        blobs = [self._get_valid_path(name) for name in names]
        with _azure_errors(names[0]):
            answers = self.client.delete_blobs(
                *blobs, raise_on_any_failure=False, timeout=self.timeout
            )
            refused = [answer for answer in answers if answer.status_code not in {202, 404}]
        if refused:
            raise StoreUnreachable(f"HTTP {refused[0].status_code}")

    def _upload(self, name: str, body: bytes) -> None:
        settings = ContentSettings(
            **{"content_type": CONTENT_TYPE, **self.get_object_parameters(name)}
        )
        # Each timeout covers the whole body: until the kernel has it (urllib3 sends it under the
        # connection timeout), until the service has received it, and the service's own limit.
        seconds = len(body) // SLOWEST_BYTES_PER_SECOND
        timeouts = {
            "connection_timeout": CONNECT_SECONDS + seconds,
            "read_timeout": READ_SECONDS + seconds,
            "timeout": self.timeout + seconds,
        }
        with _azure_errors(name):
            self._blob(name).upload_blob(
                body, overwrite=True, validate_content=True, content_settings=settings, **timeouts
            )

    def _read(self, name: str, offset: int | None = None, length: int | None = None) -> bytes:
        with _azure_errors(name):
            return self._blob(name).download_blob(offset, length, timeout=self.timeout).readall()

    def _blob(self, name: str) -> BlobClient:
        blob: BlobClient = self.client.get_blob_client(self._get_valid_path(name))
        return blob

    def _get_service_client(self) -> BlobServiceClient:
        # django-storages ignores the options when it has a connection string.
        options = {**AZURE_OPTIONS, **self.client_options}
        return BlobServiceClient.from_connection_string(self.connection_string, **options)


def _add_md5(params: dict[str, Any], **_rest: Any) -> None:
    """Adds the checksum that every service knows; botocore sends a newer one."""
    params["headers"]["Content-MD5"] = b64encode(_md5(params["body"])).decode()


@contextmanager
def _s3_errors(name: str) -> Iterator[None]:
    try:
        yield
    except (ClientError, BotoCoreError, HTTPError) as error:
        if _s3_code(error) in {"404", "NoSuchKey"}:
            raise FileNotFoundError(name) from error
        raise StoreUnreachable(_s3_code(error) or type(error).__name__) from error


def _s3_code(error: BaseException | None) -> str:
    """Returns the service's error code, such as `NoSuchKey`; "" if it did not answer."""
    if not isinstance(error, ClientError):
        return ""
    return str(error.response.get("Error", {}).get("Code", ""))


@contextmanager
def _azure_errors(name: str) -> Iterator[None]:
    try:
        yield
    except AzureError as error:
        if _azure_code(error) == "BlobNotFound":  # not `ContainerNotFound`
            raise FileNotFoundError(name) from error
        raise StoreUnreachable(_azure_code(error) or type(error).__name__) from error


def _azure_code(error: BaseException | None) -> str:
    """Returns the service's error code, such as `BlobNotFound`; "" if it did not answer."""
    code = getattr(error, "error_code", None)
    return str(getattr(code, "value", code) or "")


def _md5(content: bytes) -> bytes:
    """Returns the checksum that both services verify: against accidents, not against attackers."""
    return md5(content, usedforsecurity=False).digest()
