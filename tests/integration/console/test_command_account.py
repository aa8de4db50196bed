"""`gatepost account`, on a real broker."""

import asyncio

from argon2 import PasswordHasher
from sqlalchemy import select

from services.console.database import Database
from services.console.tables import audit
from shared.accounts import Account, AccountBook, decode_accounts
from shared.broker.connect import Link
from shared.broker.consume import StreamReader
from shared.broker.topology import Queue
from shared.scram import ITERATIONS, SALT_BYTES, derive_keys, parse_keys
from tests.integration.console.command import Gatepost
from tests.rabbit import Rabbit


def books_at_edge(rabbit: Rabbit, count: int) -> list[AccountBook]:
    async def read() -> list[AccountBook]:
        books: list[AccountBook] = []
        enough = asyncio.Event()

        async def take(body: bytes) -> None:
            books.append(decode_accounts(body))
            if len(books) >= count:
                enough.set()

        link = Link(rabbit.settings("edge"), "test-accounts")
        StreamReader(link, Queue.ACCOUNTS.value, take)
        link.start()
        try:
            async with asyncio.timeout(10):
                await enough.wait()
        finally:
            await link.close()
        return books

    return asyncio.run(read())


def add(gatepost: Gatepost, login: str, *options: str, password: str = "correct horse") -> int:
    return gatepost("account", "add", login, "--password-stdin", *options, typed=f"{password}\n").exit_code


def test_edge_learns_of_an_account_and_can_verify_its_password(gatepost: Gatepost) -> None:
    assert add(gatepost, "Anna@gatepost.test", "--sender", "@Gatepost.test") == 0
    (book,) = books_at_edge(gatepost.rabbit, 1)
    account = book.find("anna@gatepost.test")
    assert account is not None
    assert account.argon2
    assert account.argon2.startswith("$argon2id$")
    assert PasswordHasher().verify(account.argon2, "correct horse")
    assert account.scram
    keys = parse_keys(account.scram)
    assert keys == derive_keys("correct horse", keys.salt, ITERATIONS)
    assert len(keys.salt) == SALT_BYTES
    assert account.cram_md5 is None
    assert account.may_send_as("anyone@gatepost.test")
    assert not account.may_send_as("anna@example.org")


def test_the_password_itself_is_kept_for_cram_md5_alone_and_with_a_warning(gatepost: Gatepost) -> None:
    done = gatepost("account", "add", "anna@gatepost.test", "--password-stdin", "--cram-md5", typed="correct horse\n")
    assert done.exit_code == 0
    assert "Warning: this password is now kept as it is" in done.stdout
    assert "correct horse" not in done.stdout
    (book,) = books_at_edge(gatepost.rabbit, 1)
    assert [account.cram_md5 for account in book.accounts] == ["correct horse"]
    assert "CRAM-MD5" in gatepost("account", "list").stdout
    # A new password without the option takes it away.
    assert add(gatepost, "anna@gatepost.test", "--replace", password="battery staple") == 0
    assert [account.cram_md5 for account in books_at_edge(gatepost.rabbit, 2)[-1].accounts] == [None]


def test_an_account_may_have_its_password_elsewhere(gatepost: Gatepost) -> None:
    assert gatepost("account", "add", "anna@gatepost.test", "--elsewhere").exit_code == 0
    (book,) = books_at_edge(gatepost.rabbit, 1)
    assert book.accounts == (Account("anna@gatepost.test"),)
    assert "password elsewhere" in gatepost("account", "list").stdout
    assert gatepost("account", "add", "bert@gatepost.test", "--elsewhere", "--cram-md5").exit_code == 1


def test_logins_and_passwords_are_prepared_as_clients_prepare_them(gatepost: Gatepost) -> None:
    assert add(gatepost, "\u2168@gatepost.test", "--sender", "nine@gatepost.test", password="I\u00adX and more") == 0
    assert add(gatepost, "bert@gatepost.test", password="a bell \u0007 rings") == 1
    (book,) = books_at_edge(gatepost.rabbit, 1)
    (account,) = book.accounts
    assert account.login == "ix@gatepost.test"
    assert account.argon2
    assert PasswordHasher().verify(account.argon2, "IX and more")


def test_each_book_is_whole_and_newer_than_the_one_before(gatepost: Gatepost) -> None:
    add(gatepost, "anna@gatepost.test")
    add(gatepost, "bert@gatepost.test")
    assert gatepost("account", "remove", "anna@gatepost.test").exit_code == 0
    books = books_at_edge(gatepost.rabbit, 3)
    assert [len(book.accounts) for book in books] == [1, 2, 1]
    assert books[0].version < books[1].version < books[2].version
    listed = gatepost("account", "list").stdout
    assert "bert@gatepost.test" in listed
    assert "anna@gatepost.test" not in listed


def test_a_password_can_be_typed_twice(gatepost: Gatepost) -> None:
    done = gatepost("account", "add", "anna@gatepost.test", typed="correct horse\ncorrect horse\n")
    assert done.exit_code == 0


def test_what_could_not_work_is_refused(gatepost: Gatepost) -> None:
    assert add(gatepost, "anna@gatepost.test", password="short") == 1
    assert add(gatepost, "anna") == 1
    assert add(gatepost, "anna", "--sender", "no address") == 1
    assert add(gatepost, "an na", "--sender", "anna@gatepost.test") == 1
    assert gatepost("account", "remove", "nobody@gatepost.test").exit_code == 1
    assert add(gatepost, "anna", "--sender", "anna@gatepost.test") == 0
    assert add(gatepost, "ANNA", "--sender", "anna@gatepost.test") == 1
    assert add(gatepost, "ANNA", "--sender", "anna@gatepost.test", "--replace") == 0


def test_what_was_done_stands_in_the_audit_without_the_password(gatepost: Gatepost) -> None:
    add(gatepost, "anna@gatepost.test")

    async def rows(database: Database) -> list[tuple[str, str, str]]:
        async with database.reading() as connection:
            found = await connection.execute(select(audit.c.action, audit.c.target, audit.c.who, audit.c.details))
            return [tuple(row) for row in found]

    ((action, target, who, details),) = gatepost.with_database(rows)  # type: ignore[misc]
    assert (action, target) == ("account add", "anna@gatepost.test")
    assert who
    assert "correct horse" not in details
