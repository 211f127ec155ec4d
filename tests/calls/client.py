"""A REST client with a token, over the real ASGI application."""

from __future__ import annotations

from typing import Any

from django.http.response import HttpResponseBase
from django.test import AsyncClient, TransactionTestCase
from rest_framework.authtoken.models import Token

from tests.people import person

Query = dict[str, Any]


class RestTests(TransactionTestCase):
    """Transactions are real: exports read in other threads, which see only committed rows."""

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
        """Returns the response, with a streamed body unread. Headers are keywords (`If_Range`)."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        named.setdefault("Authorization", f"Token {self.token}")
        client = AsyncClient(raise_request_exception=True)
        return await client.generic(method, url, query_params=query or {}, headers=named)

    async def body(self, url: str, query: Query | None = None, /, **headers: str) -> bytes:
        """Returns the whole body of a response that must succeed."""
        response = await self.ask(url, query, **headers)
        assert response.status_code in {200, 206}, (
            response.status_code,
            content_of_error(response),
        )
        return await read(response)

    async def json(self, url: str, query: Query | None = None, /, **headers: str) -> Any:
        return (await self.ask(url, query, **headers)).json()


async def read(response: Any) -> bytes:
    """Returns the whole body, streamed or not."""
    if not response.streaming:
        content: bytes = response.content
        return content
    return b"".join([piece async for piece in response.streaming_content])


def content_of_error(response: HttpResponseBase) -> str:
    return "" if response.streaming else getattr(response, "content", b"").decode()
