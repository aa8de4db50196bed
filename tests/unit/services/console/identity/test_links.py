"""How browsers reach the console."""

from pathlib import Path

import pytest

from services.console.identity.links import first_link, invitation_link, public_url, relying_party
from services.console.settings import ConsoleSettings


def settings(**web: object) -> ConsoleSettings:
    files = {"certificate_file": Path("a"), "key_file": Path("b"), "secret": "x" * 32}
    return ConsoleSettings.model_validate(
        {
            "hostname": "mx.example",
            "broker": {"user": "u", "password": "p", "port": 1},
            "health": {"port": 0},
            "database": {"url": "sqlite:////x"},
            "web": files | web,
        }
    )


@pytest.mark.parametrize(
    "web, url, party",
    [
        ({"public_url": "https://post.example.org"}, "https://post.example.org", "post.example.org"),
        ({"public_url": "https://post.example.org:9443"}, "https://post.example.org:9443", "post.example.org"),
        ({"port": 8443}, "https://mx.example:8443", "mx.example"),
        ({"port": 443}, "https://mx.example", "mx.example"),
    ],
)
def test_links_and_passkeys_are_of_the_public_address(web: dict[str, object], url: str, party: str) -> None:
    made = settings(**web)
    assert public_url(made) == url
    assert relying_party(made) == party
    assert first_link(made, "s_-x") == f"{url}/first/s_-x"
    assert invitation_link(made, "a/b") == f"{url}/invited/a%2Fb"
