"""A console in which everything that a stranger or another user can say is hostile.

Owns: what each kind of event, each held mail, each table, the policy, the shared state and the work of pages is filled
with. `FACTS` has every fact of every kind of event; a kind that it lacks fails the test that goes through it.
"""

import contextlib
import json
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

from sqlalchemy import Table, insert

from services.console.actions.quarantine_bulk import Bulk, Deed, Failed
from services.console.database import Database
from services.console.doctor.finding import Finding
from services.console.doctor.finding import Level as HowBad
from services.console.domain_check.check import Check, Level, Topic
from services.console.identity.sessions import Step, open_session
from services.console.identity.tables import failed_logins, invitations, passkeys, tokens, users
from services.console.tables import accounts, audit, dkim_keys, hops, orders, policy_history
from services.console.web.errands import Errand, Errands
from shared.bans import Ban, ban_key, encode_ban
from shared.brake import brake_key
from shared.envelope import Client, Recipient, Retry
from shared.event import Event, EventKind, Stage
from shared.ids import new_id
from shared.policy import PolicyError, parse_policy
from shared.settings import RedisSettings
from shared.state.open import open_state
from shared.verdict import Action, CheckName, Reason, Verdict
from shared.wire import QuarantineNote
from tests.integration.console.hostile_text import STORED
from tests.integration.console.mail import event
from tests.integration.console.policy_scene import FIRST
from tests.integration.console.quarantined import hold
from tests.integration.console.told import id_at, write

ROOT = "root"
JOB = "01jobjobjobjobjobjobjobjob"
DOMAIN = "gatepost.test"
# Their own words are what some parts of a page are found by, so these stay as they are.
_STAGES = {EventKind.CHECKED: Stage.CONTENT, EventKind.JUDGED: Stage.CONTENT, EventKind.ATTEMPT: Stage.DELIVERY}


def _reason(check: str, text: str) -> dict[str, object]:
    # An SPF explanation, a signature's domain and selector, a symbol's options, the name of a signature or of a member of
    # an archive: all of them stand in the evidence.
    keys = ("result", "evidence", "rule", "input", "change", "exemption")
    return dict.fromkeys(keys, text) | {"check": check, "action": "refuse", "score": 9.0, "threshold": 8.0}


def _who(text: str) -> dict[str, object]:
    keys = ("client", "name", "listener", "helo", "login", "sender", "tls", "command", "recipient", "reply", "reason")
    return dict.fromkeys(keys, text)


def _hop(text: str) -> str:
    return f"smtp://{text[:200]}:25"


FACTS: dict[EventKind, Callable[[str], dict[str, Any]]] = {
    EventKind.SESSION_REFUSED: _who,
    EventKind.BANNED: lambda text: {"client": text, "until": time.time() + 60, "why": text, "count": 5},
    EventKind.COMMAND_REFUSED: _who,
    EventKind.RECEIVED: lambda text: _who(text) | {
        "recipients": [text, text], "size_bytes": 1, "subject": text, "message_id": text},
    EventKind.CHECKED: lambda text: {"findings": [
        {"check": check, "result": text, "evidence": text, "input": text, "took_ms": 1.0}
        for check in (*CheckName, text)]},
    EventKind.JUDGED: lambda text: {
        "verdicts": {f"{action} {text}": {"action": action, "subject_tag": text, "strip": [text],
                            "reasons": [_reason(check, text) for check in (*CheckName, text)]}
                     for action in (*Action, text)},
        "policy_version": 1, "took_ms": 1.0},
    EventKind.ANSWERED: lambda text: {"reply": f"250 {text}", "waited_s": 0.1, "verdict": text},
    EventKind.DMARC_SEEN: lambda text: {"header_from": text, "disposition": text},
    EventKind.DROPPED: lambda text: {"reason": text},
    EventKind.QUEUED: lambda text: {"to": text, "recipients": [text]},
    EventKind.SPLIT: lambda text: {"into": [{"id": text, "hop": text, "recipients": [text]}]},
    EventKind.EXPANDED: lambda text: {"recipients": [{"from": text, "to": [text], "by": text}], "sender": text},
    EventKind.RETRY: lambda text: {
        "attempts": 1, "not_before": time.time() + 900, "reason": text, "hop": _hop(text), "failure": text},
    EventKind.ATTEMPT: lambda text: {
        "hop": _hop(text), "peer": text, "tls": text, "security": text, "source": text, "took_ms": 1.0,
        "outcomes": [{"recipient": text, "status": text, "reply": text}],
        "dkim": {"domain": text, "by": [{"selector": text, "algorithm": text}],
                 "passed": [{"selector": text, "why": text}]}},
    EventKind.DELIVERED: lambda text: {"hop": text, "recipients": [text], "reply": text},
    EventKind.FAILED: lambda text: {"recipients": [text], "reply": text, "reason": text, "bounce": text},
    EventKind.ORDERED: lambda text: {"order": text, "by": text, "why": text, "recipients": [text], "to": text},
    EventKind.DSN_SENT: lambda text: {"dsn_id": text, "action": text, "to": text},
    EventKind.DSN_WITHHELD: lambda text: {"reason": text},
    EventKind.QUARANTINED: lambda text: {"reason": text, "check": text, "evidence": text, "recipients": [text]},
    EventKind.RELEASED: lambda text: {"by": text, "recipients": [text], "rules": [text], "again": text},
    EventKind.DELETED: lambda text: {"by": text, "recipients": [text]},
    EventKind.LEARNED: lambda text: {"as": text, "by": text},
    EventKind.HOP: lambda text: {"hop": _hop(text), "state": text, "cause": text, "until": time.time() + 60},
    # What a server said of TLS, and the record and policy by which its domain asks for reports.
    EventKind.TLS_SEEN: lambda text: {"domain": text, "policy": text, "mx_host": text, "reason": text},
}  # fmt: skip


def story(text: str, number: int, now: float) -> list[Event]:
    """Return a story with each kind of event, in which everybody says the same, and that ends as waiting."""
    name = id_at(now, number)
    told = [kind for kind in EventKind if kind not in (EventKind.RETRY, EventKind.HOP, EventKind.TLS_SEEN,
                                                       EventKind.DMARC_SEEN, EventKind.BANNED)]  # fmt: skip
    # Those that are no part of a trace stand in one all the same where a stage errs.
    for_once = [EventKind.BANNED, EventKind.DMARC_SEEN, EventKind.TLS_SEEN, EventKind.HOP] if number == 0 else []
    return [
        event(name, _STAGES.get(kind, Stage.EDGE), kind, now + place / 10, **FACTS[kind](text))
        for place, kind in enumerate([*told, *for_once, EventKind.RETRY])
    ]


def message(text: str) -> bytes:
    """Return a mail whose author writes the same everywhere."""
    raw = text.encode("utf-8", "replace")
    word = b"=?utf-8?b?" + b64encode(raw[:300]) + b"?="
    line = raw.replace(b"\r", b" ").replace(b"\n", b" ").replace(b"\0", b" ")
    name = quote(text[:200], safe="").encode()
    head = b"Content-Disposition: attachment; filename*=utf-8''" + name + b'; filename="' + word + b'"\r\n'
    return b"\r\n".join((
        b"From: " + word + b" <m@example.org>", b"To: " + line, b"Subject: " + word, b"X-Raw: " + line,
        word[:60] + b": " + line, b"Message-ID: <" + line + b">", b"MIME-Version: 1.0",
        b"Authentication-Results: " + line, b"DKIM-Signature: d=" + line + b"; s=" + line, b"Received: from " + line,
        b'Content-Type: multipart/mixed; boundary="b"', b"", b"--b", b"Content-Type: text/plain; charset=utf-8", b"",
        raw, b"http://evil.test/" + line, b"--b", b"Content-Type: text/html; charset=utf-8", b"",
        b"<html><body>" + raw + b"<a href='" + line + b"'>" + raw + b"</a></body></html>",
        b"--b", b'Content-Type: application/octet-stream; name="' + word + b'"\r\n' + head, b"aaaa",
        # A report of DMARC and one on TLS, as others send them.
        b"--b", b"Content-Type: text/xml", b"", b"<?xml version='1.0'?><feedback><org_name>" + raw + b"</org_name>",
        b"--b", b"Content-Type: application/tlsrpt+json", b"", json.dumps({"organization-name": text}).encode(),
        b"--b", b"Content-Type: message/rfc822", b"", b"Subject: " + word, b"", raw, b"--b--", b"",
    ))  # fmt: skip


async def hold_of(database: Database, text: str, at: float) -> tuple[str, str]:
    """Hold a mail whose envelope says the same everywhere."""
    # An envelope must fit one frame of AMQP.
    short = text[:300]
    reasons = tuple(
        Reason(check, short, Action.QUARANTINE, short, short, short, 9.0, 8.0, short, short) for check in CheckName
    )
    return await hold(
        database, "demo@gatepost.test", text[:200], message=message(text), note=QuarantineNote(text, text, text), at=at,
        verdict=Verdict(Action.QUARANTINE, reasons, 1, (text,), text), sender=text, results=text, listener=text,
        client=Client(text, 4711, text, name=text, tls=text, login=text), envid=text, hop=text, bypass=(text,),
        released_by=text, retry=Retry(last_reply=text, failure=text),
        recipients=(Recipient("demo@gatepost.test"), Recipient(text[:200], orcpt=text)),
    )  # fmt: skip


async def fill(
    database: Database, now: float, digest: Callable[[str], str] = str
) -> tuple[dict[str, str], dict[str, str]]:
    """Fill a database; return the stories' ids and the held mails' paths, by text. digest: of an invitation's secret."""
    stories = [story(text, number, now) for number, text in enumerate(STORED)]
    await write(database, *stories)
    held = {text: "/".join(await hold_of(database, text, now + number)) for number, text in enumerate(STORED)}
    async with database.writing() as connection:
        for table, values in _rows(now, now + 3600, digest).items():
            await connection.execute(insert(table), values)
    for text in STORED:
        await open_session(database, ROOT, Step.WHOLE, address="192.0.2.7", agent=text, now=now)
    return {text: one[0].id for text, one in zip(STORED, stories, strict=True)}, held


def _rows(now: float, last: float, digest: Callable[[str], str]) -> dict[Table, list[dict[str, Any]]]:
    return {
        audit: [
            {"uid": new_id(), "at": now, "who": text, "action": action, "target": text, "via": "browser",
             "details": json.dumps({"name": text, text[:60]: [text], "why": {"x": text}}), "address": text[:64]}
            for text in STORED for action in ("log-in failed", text[:40])
        ],
        users: [
            {"name": text[:300], "role": "domain-manager", "domains": json.dumps([text]), "argon2": "", "made_at": now,
             "totp_secret": None, "totp_step": None, "disabled": False, "changed_at": now}
            for text in STORED
        ],
        tokens: [
            {"digest": new_id(), "id": new_id(), "user_name": name, "label": text, "role": "viewer",
             "domains": json.dumps([text]), "made_at": now, "ends_at": last, "used_at": now, "used_from": text[:64]}
            for text in STORED for name in (ROOT, text[:300])
        ],
        passkeys: [
            {"id": new_id(), "user_name": ROOT, "label": text, "public_key": b"", "sign_count": 0, "made_at": now}
            for text in STORED
        ],
        invitations: [
            {"digest": digest(f"{number:043}"), "user_name": text[:300], "role": "viewer", "made_by": text,
             "made_at": now, "ends_at": last}
            for number, text in enumerate(STORED)
        ],
        failed_logins: [{"uid": new_id(), "subject": text[:300], "at": now} for text in STORED],
        accounts: [
            {"login": text[:300], "argon2": "", "senders": json.dumps([text]), "disabled": False, "created_at": now}
            for text in STORED
        ],
        hops: [
            {"hop": _hop(text), "host": f"{state} {text[:200]}", "state": state, "cause": text, "until": last, "at": now}
            for text in STORED for state in ("waiting", text[:20])
        ],
        dkim_keys: [
            {"domain": DOMAIN, "selector": text[:60], "algorithm": "rsa", "private_key": "", "record": text,
             "state": "active", "made_at": now, "state_at": now, "keep_until": None}
            for text in STORED
        ],
        orders: [
            {"id": name, "at": now, "who": text, "kind": "suspend", "target": "hop:" + _hop(text),
             "body": json.dumps({"id": name, "at": now, "kind": "suspend", "who": text, "why": text[:300],
                                 "target": {"by": "hop", "name": _hop(text)}})}
            for text in STORED for name in [new_id()]
        ],
        policy_history: [
            {"version": version, "author": text, "reason": text, "at": now, "confirm_by": None,
             "text": f"{policy_text()}# w{version}w is another\n"}
            for version, text in enumerate(STORED, 1)
        ],
    }  # fmt: skip


def policy_text() -> str:
    """Return a document with the corpus wherever its form lets a text stand."""
    comments = "".join(f"# {''.join(c for c in text if c.isprintable())}\n" for text in STORED)
    return FIRST + "".join(_allowed()) + comments


def _allowed() -> Iterator[str]:
    for number, text in enumerate(STORED):
        word = json.dumps(text[:60])
        group = f'[groups.{word}]\ncatch_all = "demo"\n[domains."w{number}.test"]\ngroup = {word}\nroute = "mx"\n'
        rule = f'[[access]]\naction = "deny"\nnetworks = ["203.0.113.{number}"]\ntext = {json.dumps(text[:200])}\n'
        exempt = f'[[exemptions]]\nname = {word}\nreason = {word}\nchecks = ["spf"]\ndomains = ["{DOMAIN}"]\n'
        for part in (rule, exempt, group + f'recipients = [{word}]\naliases = {{{word} = ["demo"]}}\n',
                     group + 'recipients = ["demo"]\n'):  # fmt: skip
            with contextlib.suppress(PolicyError):
                parse_policy(FIRST + part)
                yield part
                if part.startswith("[groups"):
                    break


async def fill_state(redis: RedisSettings, now: float) -> None:
    """Put bans and brakes where the stages share them."""
    state = open_state(redis)
    await state.start()
    try:
        for number, text in enumerate(STORED):
            ban = Ban(now + 3600, text, now, 1)
            await state.put(ban_key(f"198.51.100.{number}"), encode_ban(ban), 3600)
            await state.put(ban_key(text[:200]), encode_ban(ban), 3600)
            await state.put(brake_key(text[:200]), text[:200], 3600)
    finally:
        await state.close()


def fill_errands(errands: Errands, now: float) -> None:
    """Put results where pages keep the work that they began."""
    checks = [Check(level, topic, text, text) for text in STORED for topic in Topic for level in [Level.WRONG]]
    errands.put(f"domain {DOMAIN}", {DOMAIN: checks}, now)
    errands.put("doctor", [Finding(HowBad.WRONG, text, text, text) for text in STORED], now)
    failed = [Failed(text[:40], text[:16], text) for text in STORED]
    errand: Errand = errands.start(f"quarantine {JOB} {ROOT}", _nothing, now)
    errand.result, errand.is_over, errand.problem = Bulk(Deed.RELEASE, STORED[0], 99, 1, failed), True, STORED[0]


async def _nothing(_errand: Errand) -> Bulk:
    return Bulk(Deed.RELEASE, STORED[0], 99, 1, [Failed(text[:40], text[:16], text) for text in STORED])
