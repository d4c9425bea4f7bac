"""A browser at the real edge: its session lies in a cookie that no script reads, and the keys of tokens are there for all."""

import secrets
import uuid

import httpx


async def test_a_browser_keeps_its_session_in_a_cookie(edge: httpx.AsyncClient) -> None:
    public = (await edge.get("/openapi.json")).json()["servers"][0]["url"]
    page = {"x-csrf": "1", "origin": public, "sec-fetch-site": "same-origin", "content-type": "application/json"}
    body = {
        "organisation": "Organisation",
        "email": f"owner-{uuid.uuid4().hex}@example.com",
        "password": secrets.token_urlsafe(24),
        "name": "Test Owner",
    }
    registered = await edge.post("/v1/auth:register", json=body, headers=page)
    assert "refreshToken" not in registered.json()
    cookie = registered.headers["set-cookie"].partition(";")[0]
    assert cookie.startswith("__Host-rt=")
    refreshed = await edge.post("/v1/auth:refresh", headers=page | {"cookie": cookie})
    assert refreshed.status_code == 200, refreshed.text
    assert refreshed.headers["set-cookie"].partition(";")[0] != cookie
    elsewhere = await edge.post("/v1/auth:refresh", headers=page | {"cookie": cookie, "origin": "https://evil.test"})
    assert (elsewhere.status_code, elsewhere.json()["code"]) == (403, "ORIGIN_REFUSED")
    out = await edge.post("/v1/auth:signOut", headers=page | {"cookie": refreshed.headers["set-cookie"].partition(";")[0]})
    assert (out.status_code, "Max-Age=0" in out.headers["set-cookie"]) == (200, True)


async def test_the_key_set_is_public(edge: httpx.AsyncClient) -> None:
    for path in ("/v1/auth/keys", "/.well-known/jwks.json"):
        answer = await edge.get(path)
        assert (answer.status_code, len(answer.json()["keys"]) > 0) == (200, True)
