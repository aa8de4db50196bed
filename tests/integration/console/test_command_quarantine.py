"""`gatepost quarantine` and `gatepost trace`, on a real broker."""

import json
from dataclasses import replace

from shared.broker.topology import LARGE_BYTES, Queue
from shared.event import EventKind, Stage
from shared.ids import new_id
from shared.verdict import Action, CheckName, Reason
from shared.wire import MAIL_TYPE, QuarantineNote, read_envelope
from tests.integration.console.command import Gatepost
from tests.integration.console.mail import MESSAGE, RESULTS, VERDICT, delivered_story, envelope, event

# Two rules hold it, and a third would tag it.
TWICE = replace(
    VERDICT,
    reasons=(
        *VERDICT.reasons,
        Reason(CheckName.ATTACHMENTS, "macro", Action.QUARANTINE, "a.docm has macros.", "checks.attachments.macro"),
        Reason(CheckName.SPF, "softfail", Action.TAG, "~all", "checks.spf.softfail"),
    ),
)


def test_a_released_mail_goes_to_delivery_under_its_own_id(gatepost: Gatepost) -> None:
    mail = envelope(new_id())
    gatepost.hold(mail)
    done = gatepost("quarantine", "release", mail.id)
    assert done.exit_code == 0, done.output
    taken = gatepost.take("delivery", Queue.DELIVERY.value)
    sent = read_envelope(taken.type, taken.headers)
    marked = f"Authentication-Results: {RESULTS}\r\n".encode() + MESSAGE
    assert (taken.body, taken.message_id, taken.type) == (marked, mail.id, MAIL_TYPE)
    assert (sent.id, sent.proved, sent.recipients, sent.results) == (mail.id, mail.proved, mail.recipients, "")
    assert sent.verdict is not None
    [reason] = sent.verdict.reasons
    assert (sent.verdict.action, reason.key) == (Action.ACCEPT, "antivirus.infected")
    assert reason.exemption.startswith("released by ")
    assert set(taken.headers) - {"x-delivery-count"} == {"envelope"}


def test_a_mail_is_released_once(gatepost: Gatepost) -> None:
    mail = envelope(new_id())
    gatepost.hold(mail)
    assert gatepost("quarantine", "release", mail.id).exit_code == 0
    again = gatepost("quarantine", "release", mail.id)
    assert (again.exit_code, "was released before" in again.stderr) == (1, True)
    assert gatepost.json("quarantine", "list") == []
    gatepost.take("delivery", Queue.DELIVERY.value)
    assert gatepost.take("delivery", Queue.DELIVERY.value) is None


def test_a_mail_that_comes_back_after_its_release_is_held_again(gatepost: Gatepost) -> None:
    mail = envelope(new_id())
    note = QuarantineNote("undeliverable", "550 no such user")
    gatepost.hold(mail, note)
    gatepost("quarantine", "release", mail.id)
    gatepost.hold(mail, note)
    assert [held["state"] for held in gatepost.json("quarantine", "list")] == ["held"]


def test_a_mail_that_was_never_examined_is_not_released_by_accident(gatepost: Gatepost) -> None:
    mail = envelope(new_id(), verdict=None)
    gatepost.hold(mail, QuarantineNote("poison", "content died of it"))
    refused = gatepost("quarantine", "release", mail.id)
    assert (refused.exit_code, "--unexamined" in refused.stderr) == (1, True)
    assert gatepost("quarantine", "release", mail.id, "--unexamined").exit_code == 0


def test_a_rule_that_was_not_named_still_holds_a_mail(gatepost: Gatepost) -> None:
    mail = envelope(new_id(), verdict=TWICE)
    gatepost.hold(mail)
    refused = gatepost("quarantine", "release", mail.id)
    command = f"gatepost quarantine release {mail.id} --rule antivirus.infected --rule attachments.macro"
    assert (refused.exit_code, command in refused.stderr) == (1, True)
    assert [held["state"] for held in gatepost.json("quarantine", "list")] == ["held"]
    assert gatepost("quarantine", "release", mail.id, "--rule", "antispam.refuse_at").exit_code == 1
    assert gatepost.take("delivery", Queue.DELIVERY.value) is None
    done = gatepost(*command.split()[1:])
    assert (done.exit_code, "past antivirus.infected, attachments.macro" in done.stdout) == (0, True)
    sent = read_envelope(MAIL_TYPE, gatepost.take("delivery", Queue.DELIVERY.value).headers)
    assert sent.verdict is not None
    assert sent.verdict.action is Action.TAG
    told = gatepost("trace", mail.id).stdout
    assert "It was let past antivirus.infected, attachments.macro, and past no other rule" in told


def test_of_several_copies_none_goes_if_one_may_not(gatepost: Gatepost) -> None:
    message_id = new_id()
    gatepost.hold(envelope(message_id, "a@gatepost.test"))
    gatepost.hold(envelope(message_id, "b@gatepost.test", verdict=TWICE))
    assert gatepost("quarantine", "release", message_id).exit_code == 1
    assert len(gatepost.json("quarantine", "list")) == 2
    assert gatepost.take("delivery", Queue.DELIVERY.value) is None


def test_a_mail_is_judged_again_as_it_was_received(gatepost: Gatepost) -> None:
    mail = envelope(new_id(), verdict=TWICE)
    gatepost.hold(mail)
    done = gatepost("quarantine", "release", mail.id, "--again", "--rule", "attachments.macro")
    assert done.exit_code == 0, done.output
    assert "judged again by today's policy, and let past attachments.macro" in done.stdout
    taken = gatepost.take("content", Queue.CONTENT.value)
    sent = read_envelope(taken.type, taken.headers)
    assert (taken.body, taken.message_id) == (MESSAGE, mail.id)
    assert set(taken.headers) - {"x-delivery-count"} == {"envelope"}, "nobody awaits a verdict"
    assert (sent.bypass, sent.verdict, sent.results, sent.client) == (("attachments.macro",), None, "", mail.client)
    assert sent.released_by
    assert "judged again by today's policy" in gatepost("trace", mail.id).stdout
    # Content holds it again, for another of today's rules.
    gatepost.hold(mail)
    assert [held["state"] for held in gatepost.json("quarantine", "list")] == ["held"]


def test_a_large_mail_is_judged_again_in_the_queue_for_large_ones(gatepost: Gatepost) -> None:
    mail = envelope(new_id())
    gatepost.hold(mail, message=MESSAGE + b"x" * LARGE_BYTES)
    assert gatepost("quarantine", "release", mail.id, "--again", "--rule", "none").exit_code == 0
    taken = gatepost.take("content", Queue.CONTENT_LARGE.value)
    assert read_envelope(taken.type, taken.headers).bypass == ()


def test_copies_of_one_id_can_be_released_apart(gatepost: Gatepost) -> None:
    message_id = new_id()
    gatepost.hold(envelope(message_id, "a@gatepost.test"))
    gatepost.hold(envelope(message_id, "b@gatepost.test"))
    listed = gatepost.json("quarantine", "list")
    part = next(held["part"] for held in listed if held["recipients"] == "b@gatepost.test")
    gatepost("quarantine", "release", message_id, "--part", part)
    taken = gatepost.take("delivery", Queue.DELIVERY.value)
    assert [r.address for r in read_envelope(taken.type, taken.headers).recipients] == ["b@gatepost.test"]
    assert [held["recipients"] for held in gatepost.json("quarantine", "list")] == ["a@gatepost.test"]


def test_a_deleted_mail_is_gone_and_the_trace_says_who_did_it(gatepost: Gatepost) -> None:
    mail = envelope(new_id())
    gatepost.hold(mail)
    assert gatepost("quarantine", "delete", mail.id, typed="n\n").exit_code == 1
    assert gatepost("quarantine", "delete", mail.id, "--yes").exit_code == 0
    assert gatepost("quarantine", "release", mail.id).exit_code == 1
    assert "deleted it from quarantine" in gatepost("trace", mail.id).stdout
    assert "\x1b" not in gatepost("quarantine", "show", mail.id).stdout


def test_show_escapes_what_a_stranger_wrote(gatepost: Gatepost) -> None:
    mail = envelope(new_id())
    gatepost.hold(mail)
    shown = gatepost("quarantine", "show", mail.id)
    assert shown.exit_code == 0
    assert "Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=" in shown.stdout
    assert "Eicar-Test-Signature" in shown.stdout
    assert "body \\u001b[31mred" in shown.stdout
    assert "\x1b" not in shown.stdout


def test_show_tells_what_was_seen_on_receipt_and_the_whole_verdict(gatepost: Gatepost) -> None:
    mail = envelope(new_id(), verdict=TWICE)
    gatepost.hold(mail)
    shown = gatepost("quarantine", "show", mail.id).stdout
    for part in (
        "Held by the check antivirus: the verdict was refuse",
        "Client: 192.0.2.7 port 4711",
        "HELO: mail.example.org",
        "TLS: TLSv1.3 TLS_AES_256_GCM_SHA384",
        f"Authentication results on receipt: {RESULTS}",
        "Verdict by policy version 3: refuse",
        'decided by [checks.antivirus] infected = "refuse"',
        "also [checks.attachments] macro: the check attachments says macro, which asks for quarantine",
        "what would have changed it: the message without it",
    ):
        assert part in shown


def test_show_raw_gives_the_bytes(gatepost: Gatepost) -> None:
    mail = envelope(new_id())
    gatepost.hold(mail)
    assert gatepost("quarantine", "show", "--raw", mail.id).stdout_bytes == MESSAGE


def test_the_list_can_be_narrowed(gatepost: Gatepost) -> None:
    gatepost.hold(envelope(new_id(), "a@gatepost.test"))
    gatepost.hold(envelope(new_id(), "b@gatepost.test"), QuarantineNote("undeliverable", "x"))
    assert len(gatepost.json("quarantine", "list")) == 2
    assert len(gatepost.json("quarantine", "list", "--reason", "undeliverable")) == 1
    assert len(gatepost.json("quarantine", "list", "--recipient", "A@gate")) == 1
    assert len(gatepost.json("quarantine", "list", "--recipient", "%")) == 0
    assert len(gatepost.json("quarantine", "list", "--limit", "1")) == 1
    assert gatepost("quarantine", "list", "--state", "heldd").exit_code == 2
    assert "refuse" in gatepost("quarantine", "list").stdout


def test_what_is_not_there_is_not_found(gatepost: Gatepost) -> None:
    for command in ("show", "release"):
        assert gatepost("quarantine", command, new_id()).exit_code == 1
    assert gatepost("trace", new_id()).exit_code == 1
    assert gatepost("trace", "rubbish").exit_code == 1
    assert gatepost("trace").exit_code == 2


def test_while_the_broker_is_away_a_release_changes_nothing(gatepost: Gatepost) -> None:
    mail = envelope(new_id())
    gatepost.hold(mail)
    good = gatepost.file.read_text()
    gatepost.file.write_text(good.replace(f"port = {gatepost.rabbit.port}", "port = 1"))
    assert gatepost("quarantine", "release", mail.id).exit_code == 1
    gatepost.file.write_text(good)
    assert [held["state"] for held in gatepost.json("quarantine", "list")] == ["held"]


def test_the_trace_tells_the_story_of_a_message(gatepost: Gatepost) -> None:
    message_id = new_id()
    gatepost.write(delivered_story(message_id))
    told = gatepost("trace", message_id.upper())
    assert told.exit_code == 0
    for part in (
        "came from 192.0.2.7",
        "Policy version 3 decided",
        "clamd found nothing",
        "250 2.0.0 Ok: 77",
        "In short",
    ):
        assert part in told.stdout
    assert gatepost.json("trace", message_id)["in_short"][-1].startswith("Delivered")


def test_the_trace_of_a_part_tells_of_the_whole_and_of_its_reports(gatepost: Gatepost) -> None:
    whole, part, report = new_id(), new_id(), new_id()
    gatepost.write(
        [
            event(whole, Stage.EDGE, EventKind.RECEIVED, 1.0, sender="a@b.test", recipients=["x@c.test"]),
            event(
                whole, Stage.DELIVERY, EventKind.SPLIT, 2.0, into=[{"id": part, "hop": "h", "recipients": ["x@c.test"]}]
            ),
            event(
                part, Stage.DELIVERY, EventKind.FAILED, 3.0, recipients=["x@c.test"], reply="550 no", reason="refused"
            ),
            event(part, Stage.DELIVERY, EventKind.DSN_SENT, 4.0, dsn_id=report, action="failed", to="a@b.test"),
            event(report, Stage.DELIVERY, EventKind.DELIVERED, 5.0, hop="mx", recipients=["a@b.test"], reply="250 ok"),
        ]
    )
    told = gatepost.json("trace", report)
    assert told["family"] == {whole: None, part: whole, report: part}
    assert [fact["kind"] for fact in told["events"]] == ["received", "split", "failed", "dsn-sent", "delivered"]


def test_the_command_works_as_a_process(gatepost: Gatepost) -> None:
    message_id = new_id()
    gatepost.write(delivered_story(message_id))
    told = gatepost.process("trace", "--json", message_id)
    assert (told.returncode, told.stderr) == (0, "")
    assert json.loads(told.stdout)["id"] == message_id
    assert gatepost.process("trace", new_id()).returncode == 1
    assert gatepost.process("nonsense").returncode == 2
