"""Asks REST over the real ASGI application, with a token, as engineers do."""

from __future__ import annotations

from typing import Any

from django.http.response import HttpResponseBase
from django.test import AsyncClient, TransactionTestCase
from rest_framework.authtoken.models import Token

from tests.people import person

Query = dict[str, Any]


class RestTests(TransactionTestCase):
    """Transactions are real: exports read in threads of their own, which see only what is
    committed.
    """

    def setUp(self) -> None:
        engineer = person("engineer", password="a secret of the tests")
        self.token = Token.objects.create(user=engineer).key

    async def ask(
        self,
        url: str,
        query: dict[str, Any] | None = None,
        /,
        *,
        method: str = "GET",
        **headers: str,
    ) -> Any:
        """The response; headers as keywords (`If_Range`), a streamed body is not read yet."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        named.setdefault("Authorization", f"Token {self.token}")
        client = AsyncClient(raise_request_exception=True)
        return await client.generic(method, url, query_params=query or {}, headers=named)

    async def body(self, url: str, query: Query | None = None, /, **headers: str) -> bytes:
        """The whole body of an answer that must be good."""
        response = await self.ask(url, query, **headers)
        assert response.status_code in {200, 206}, (
            response.status_code,
            content_of_error(response),
        )
        return await read(response)

    async def json(self, url: str, query: Query | None = None, /, **headers: str) -> Any:
        return (await self.ask(url, query, **headers)).json()


async def read(response: Any) -> bytes:
    """What the client receives, streamed or not."""
    if not response.streaming:
        content: bytes = response.content
        return content
    return b"".join([piece async for piece in response.streaming_content])


def content_of_error(response: HttpResponseBase) -> str:
    return "" if response.streaming else getattr(response, "content", b"").decode()
