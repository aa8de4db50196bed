"""What an action could not do (PURE): the text is for the administrator, the status is what the API answers.

Apart from the desk, so that the command knows them without a database.
"""


class ActionError(Exception):
    """Something that could not be done; the text says what, and where it helps, how to mend it.

    status: what the API answers.
    """

    status = 409


class NotFound(ActionError):
    """What was named is not there."""

    status = 404


class NotUnderstood(ActionError):
    """What was said is of no form that could be done."""

    status = 422


class OutOfBounds(ActionError):
    """What is not of the caller's domains."""

    status = 403
