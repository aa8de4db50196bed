"""One gateway with a console for the tests of this folder; its edge, its console and its Rspamd have a Redis."""

import re
import signal
import tomllib
from collections.abc import Iterator

import pytest
from selenium import webdriver

from infra.local.layout import LOCAL
from tests.e2e.console.desk import PASSWORD, Desk
from tests.e2e.console.scene import POLICY, Door
from tests.e2e.gateway import Gateway, wait_until
from tests.integration.console.in_thread import Loop, loop_in_thread
from tests.integration.console.test_web_browser_login import chromium
from tests.nexthop import NextHop
from tests.redis import RedisServer


@pytest.fixture(scope="session")
def loop() -> Iterator[Loop]:
    with loop_in_thread() as made:
        yield made


@pytest.fixture(scope="session")
def _door(loop: Loop) -> Iterator[Door]:
    made = Door()
    loop.do(made.__aenter__())
    yield made
    loop.do(made.__aexit__())


@pytest.fixture
def door(_door: Door) -> Iterator[Door]:
    """The next hop of waits.test, which has no time until it is opened."""
    yield _door
    _door.is_open = False
    _door.mails.clear()


@pytest.fixture
def elsewhere(loop: Loop) -> Iterator[NextHop]:
    """Another next hop, which takes everything."""
    made = NextHop()
    loop.do(made.__aenter__())
    yield made
    loop.do(made.__aexit__())


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory, _door: Door) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("console")
    redis = RedisServer(tmp_path_factory.mktemp("console-redis"))
    started = Gateway(folder)
    policy = folder / "policy.toml"
    policy.write_text((LOCAL / "policy.toml").read_text() + POLICY.format(port=_door.port))
    started.environment["GATEPOST_POLICY"] = str(policy)
    web = folder / "overrides" / "console.toml"
    with web.open("a") as file:
        # Its last table is [web]; links and passkeys are for the port that it really has.
        file.write(f'public_url = "https://localhost:{tomllib.loads(web.read_text())["web"]["port"]}"\n')
    for service in ("edge", "console"):
        with (folder / "overrides" / f"{service}.toml").open("a") as file:
            file.write(f"[redis]\nport = {redis.port}\n")
    with (folder / "overrides" / "rspamd.toml").open("a") as file:
        file.write(f'redis = "127.0.0.1:{redis.port}"\n')
    redis.start()
    try:
        started.start()
        yield started
    finally:
        if started.is_running():
            started.end_and_look(signal.SIGTERM)
        redis.stop()


@pytest.fixture(scope="session")
def browser() -> Iterator[webdriver.Chrome]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="session")
def first_link(gateway: Gateway) -> str:
    """The path of the link to the first administrator, as `make run` prints it."""
    found = re.search(r"first administrator\s+https://[^/\s]+(/first/\S+)", gateway.output)
    assert found, gateway.output
    return found[1]


@pytest.fixture(scope="session")
def desk(gateway: Gateway, first_link: str, browser: webdriver.Chrome) -> Desk:
    """The first administrator, who came by the link and is logged in."""
    web = gateway.console.web
    assert web is not None
    made = Desk(browser, f"https://localhost:{web.port}")
    made.go(first_link)
    assert made.barriers() == []
    made.fill(name="anna", password=PASSWORD, again=PASSWORD)
    made.press("Set the password")
    wait_until(lambda: "/first/" not in made.path, 30)
    if made.path == "/login":
        made.fill(name="anna", password=PASSWORD)
        made.press("Log in")
        wait_until(lambda: made.path != "/login", 30)
    made.go("/me")
    made.sees("anna")
    return made
