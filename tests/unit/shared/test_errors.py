"""Rules of the two families of errors."""

from shared.broker.publish import PublishError, PublishFailure
from shared.errors import NO_CAPACITY, PermanentError, SettingsError, TemporaryError
from shared.policy import PolicyError
from shared.reply import Reply


def test_an_error_of_no_known_kind_is_temporary_and_tells_the_client_nothing_private() -> None:
    error = TemporaryError("clamd at 10.0.0.3 is gone")
    assert error.reply.temporary
    assert str(error.reply) == "451 4.3.0 Local error in processing, try again later"
    assert (error.reason, str(error)) == ("clamd at 10.0.0.3 is gone", "clamd at 10.0.0.3 is gone")


def test_a_permanent_error_says_what_the_client_is_told() -> None:
    reply = Reply(550, "5.7.1", "no")
    assert PermanentError("why", reply).reply is reply


def test_a_full_queue_is_452_and_any_other_publish_451() -> None:
    codes = {kind: PublishError(kind, "detail").reply.code for kind in PublishFailure}
    assert codes.pop(PublishFailure.REFUSED) == NO_CAPACITY.code == 452
    assert set(codes.values()) == {451}


def test_a_policy_error_is_a_settings_error() -> None:
    assert issubclass(PolicyError, SettingsError)
