"""The main jobs need no mouse, and no scripts."""

from collections.abc import Iterator

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tests.e2e.console.desk import PASSWORD, Desk, another
from tests.e2e.console.scene import hold, swaks
from tests.e2e.gateway import Gateway, wait_until
from tests.e2e.test_quarantine import arrived

pytestmark = pytest.mark.slow
_TABS = 80


@pytest.fixture
def plain(desk: Desk) -> Iterator[Desk]:
    """A browser that runs no scripts."""
    with another(desk, scripts=False) as made:
        yield made


def tab_to(desk: Desk, words: str) -> None:
    """Press the tabulator until what has the focus begins with some words, has them as its name, or is of that name."""
    seen = []
    for _ in range(_TABS):
        focus = desk.browser.switch_to.active_element
        names = [focus.text, focus.accessible_name, focus.get_attribute("name") or ""]
        if any(name.strip().startswith(words) for name in names):
            return
        seen.append(names)
        focus.send_keys(Keys.TAB)
    raise AssertionError(f"the tabulator does not lead to {words!r} at {desk.path}, but to {seen}")


def type_in(desk: Desk, *keys: str) -> None:
    desk.browser.switch_to.active_element.send_keys(*keys)


def test_a_held_mail_is_found_and_released_by_keyboard_alone(gateway: Gateway, desk: Desk) -> None:
    name = hold(gateway, "Keyboard")
    desk.finds("/quarantine", "Keyboard")
    desk.go("/")
    type_in(desk, Keys.TAB)
    assert desk.browser.switch_to.active_element.text == "Skip to the content"
    tab_to(desk, "Quarantine")
    type_in(desk, Keys.ENTER)
    desk.is_at("/quarantine")
    tab_to(desk, "Keyboard")
    type_in(desk, Keys.ENTER)
    desk.is_at(f"/quarantine/{name}/")
    tab_to(desk, "Why")
    type_in(desk, "wanted")
    tab_to(desk, "Release")
    type_in(desk, Keys.ENTER)
    wait_until(lambda: len(arrived(gateway, name)) == 1, 30)


def test_mail_is_found_and_a_policy_is_edited_by_keyboard_alone(gateway: Gateway, desk: Desk) -> None:
    name = swaks(gateway, "Tabulator")
    desk.finds(f"/messages/{name}", "Delivered")
    desk.go("/")
    type_in(desk, "/", "tabulator", Keys.ENTER)
    desk.is_at("/messages?q=tabulator")
    tab_to(desk, "Policy")
    type_in(desk, Keys.ENTER)
    desk.is_at("/policy")
    tab_to(desk, "text")
    type_in(desk, Keys.CONTROL, Keys.END)
    type_in(desk, "# by keyboard")
    tab_to(desk, "Show what changes")
    type_in(desk, Keys.ENTER)
    desk.sees("What changes", "by keyboard")
    tab_to(desk, "reason")
    type_in(desk, "a try", Keys.ENTER)
    desk.sees("waits for its confirmation")
    tab_to(desk, "Take it back now")
    type_in(desk, Keys.ENTER)
    desk.sees("It is taken back")


def test_mail_is_found_and_released_without_scripts(gateway: Gateway, plain: Desk) -> None:
    name = hold(gateway, "Plain")
    plain.browser.get(f"{plain.url}/login?next=/quarantine")
    plain.fill(name="anna", password=PASSWORD)
    plain.click("main button.main")

    def there() -> bool:
        plain.browser.get(f"{plain.url}/quarantine?subject=plain")
        return bool(plain.all(f"main a[href*='/quarantine/{name}/']"))

    wait_until(there, 30)
    plain.click(f"main a[href*='/quarantine/{name}/']")
    plain.fill(reason="wanted")
    plain.click("main button.main")
    wait_until(lambda: len(arrived(gateway, name)) == 1, 30)
    plain.browser.get(f"{plain.url}/messages?q={name}")
    assert "Plain" in plain.browser.find_element(By.TAG_NAME, "main").text
