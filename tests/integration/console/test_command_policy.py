"""`gatepost policy`, on a real broker."""

import asyncio
from pathlib import Path

from shared.broker.connect import Link
from shared.broker.in_force import PolicyInForce
from tests.integration.console.command import Gatepost
from tests.rabbit import Rabbit

FIRST = '# ours\n[domains."gatepost.test"]\nroute = "maildir:mail"\nrecipients = ["demo"]\n'
SECOND = FIRST.replace('["demo"]', '["demo", "second"]')


def document(folder: Path, text: str) -> str:
    path = folder / "policy.toml"
    path.write_text(text)
    return str(path)


def version_at_a_stage(rabbit: Rabbit) -> int:
    async def read() -> int:
        link = Link(rabbit.settings("content"), "test-policy")
        policy = PolicyInForce(link)
        link.start()
        try:
            async with asyncio.timeout(10):
                await policy.wait_known()
            return policy.version
        finally:
            await link.close()

    return asyncio.run(read())


def test_a_policy_that_is_applied_is_in_force_at_every_stage(gatepost: Gatepost, tmp_path: Path) -> None:
    done = gatepost("policy", "apply", document(tmp_path, FIRST), "--reason", "the first one")
    assert done.exit_code == 0, done.output
    assert "Version 1 is in force" in done.stdout
    assert version_at_a_stage(gatepost.rabbit) == 1


def test_what_show_prints_is_the_document_with_its_comments_author_and_reason(
    gatepost: Gatepost, tmp_path: Path
) -> None:
    assert gatepost("policy", "show").exit_code == 1
    gatepost("policy", "apply", document(tmp_path, FIRST), "--reason", "the first one")
    shown = gatepost("policy", "show")
    assert shown.exit_code == 0
    assert FIRST in shown.stdout
    assert "# reason: the first one" in shown.stdout
    assert "# version 1" in shown.stdout


def test_apply_shows_what_changes_and_counts_up(gatepost: Gatepost, tmp_path: Path) -> None:
    gatepost("policy", "apply", document(tmp_path, FIRST), "--reason", "one")
    again = gatepost("policy", "apply", document(tmp_path, FIRST), "--reason", "again")
    assert (again.exit_code, "in force already, as version 1" in again.stdout) == (0, True)
    second = gatepost("policy", "apply", document(tmp_path, SECOND), "--reason", "two")
    assert '-recipients = ["demo"]\n+recipients = ["demo", "second"]\n' in second.stdout
    assert "Version 2 is in force" in second.stdout
    assert FIRST in gatepost("policy", "show", "--version", "1").stdout


def test_a_version_never_goes_back_even_if_the_database_is_lost(gatepost: Gatepost, tmp_path: Path) -> None:
    gatepost("policy", "apply", document(tmp_path, FIRST), "--reason", "one")
    (tmp_path / "gatepost.db").unlink()
    for rest in tmp_path.glob("gatepost.db-*"):
        rest.unlink()
    done = gatepost("policy", "apply", document(tmp_path, SECOND), "--reason", "two")
    assert "Version 2 is in force" in done.stdout


def test_a_wrong_document_is_refused_by_the_names_of_its_keys(gatepost: Gatepost, tmp_path: Path) -> None:
    wrong = document(tmp_path, '[limits]\nrecipients = 5\n[relais]\nnetworks = []\n[verdict]\ndeadline_s = "x"\n')
    for command in (("policy", "check", wrong), ("policy", "apply", wrong, "--reason", "x")):
        refused = gatepost(*command)
        assert refused.exit_code == 1
        assert all(key in refused.stderr for key in ("limits.recipients", "relais: unknown key", "verdict.deadline_s"))
    assert gatepost("policy", "show").exit_code == 1


def test_a_document_can_be_checked_without_settings(tmp_path: Path, gatepost: Gatepost) -> None:
    gatepost.file.unlink()
    assert gatepost("policy", "check", document(tmp_path, FIRST)).exit_code == 0


def test_a_reason_must_be_given(gatepost: Gatepost, tmp_path: Path) -> None:
    assert gatepost("policy", "apply", document(tmp_path, FIRST)).exit_code == 2
    assert gatepost("policy", "apply", document(tmp_path, FIRST), "--reason", " ").exit_code == 2


def test_a_change_that_asks_for_its_confirmation_is_told_confirmed_and_taken_back(
    gatepost: Gatepost, tmp_path: Path
) -> None:
    gatepost("policy", "apply", document(tmp_path, FIRST), "--reason", "one")
    second = document(tmp_path, SECOND)
    assert gatepost("policy", "apply", second, "--reason", "x", "--confirm-within", "soon").exit_code == 2
    assert gatepost("policy", "apply", second, "--reason", "x", "--confirm-within", "2h").exit_code == 1
    done = gatepost("policy", "apply", second, "--reason", "two", "--confirm-within", "10min")
    assert "It goes back by itself at" in done.stdout
    assert "gatepost policy confirm 2" in done.stdout
    assert "Note: whether it locks anybody out was not looked at" in done.stdout
    assert "waits for confirmation until" in gatepost("policy", "history").stdout
    assert "# to be confirmed by" in gatepost("policy", "show").stdout
    refused = gatepost("policy", "apply", document(tmp_path, FIRST + "# more\n"), "--reason", "three")
    assert (refused.exit_code, "waits for its confirmation" in refused.stderr) == (1, True)
    assert "it is version 3 now" in gatepost("policy", "confirm", "2").stdout
    assert gatepost("policy", "take-back", "3").exit_code == 1
    gatepost("policy", "rollback", "1", "--reason", "it broke", "--confirm-within", "60s")
    back = gatepost("policy", "take-back", "4", "--reason", "it did not")
    assert '+recipients = ["demo", "second"]' in back.stdout
    found = gatepost.json("policy", "history")
    assert [(one["version"], one["standing"]) for one in found] == [
        (5, "in force"),
        (4, "taken back"),
        (3, "earlier"),
        (2, "confirmed"),
        (1, "earlier"),
    ]


def test_any_two_versions_are_compared(gatepost: Gatepost, tmp_path: Path) -> None:
    gatepost("policy", "apply", document(tmp_path, FIRST), "--reason", "one")
    gatepost("policy", "apply", document(tmp_path, SECOND), "--reason", "two")
    for command in (("1",), ("1", "2")):
        assert '+recipients = ["demo", "second"]' in gatepost("policy", "diff", *command).stdout
    assert gatepost("policy", "diff", "2", "2").stdout == ""
    assert gatepost("policy", "diff", "7", "1").exit_code == 1


def test_what_a_message_would_meet_is_told_by_the_policy_in_force_or_by_a_draft(
    gatepost: Gatepost, tmp_path: Path
) -> None:
    gatepost("policy", "apply", document(tmp_path, FIRST), "--reason", "one")
    taken = gatepost("simulate", "192.0.2.1", "demo@gatepost.test", "--from", "x@far.test")
    assert (taken.exit_code, "maildir:mail" in taken.stdout) == (0, True), taken.output
    refused = gatepost("simulate", "192.0.2.1", "second@gatepost.test")
    assert (refused.exit_code, "550 5.1.1" in refused.stdout) == (1, True)
    draft = document(tmp_path, SECOND)
    assert gatepost("simulate", "192.0.2.1", "second@gatepost.test", "--policy", draft).exit_code == 0
    assert gatepost("simulate", "nobody", "second@gatepost.test").exit_code == 1
