"""How many of the last clients a list has listed (PURE)."""

from collections import OrderedDict

WINDOW = 100


class HitWindow:
    """The last 100 distinct clients that one list was asked about."""

    def __init__(self) -> None:
        self._listed: OrderedDict[str, bool] = OrderedDict()
        self._hits = 0

    def note(self, client: str, *, listed: bool) -> None:
        """Take in what the list says of a client. One that comes again counts once."""
        self._hits += listed - self._listed.pop(client, False)
        self._listed[client] = listed
        if len(self._listed) > WINDOW:
            self._hits -= self._listed.popitem(last=False)[1]

    def exceeds(self, share: float) -> bool:
        """Whether more than this share is listed. Fewer than 100 clients tell nothing."""
        return len(self._listed) == WINDOW and self._hits > share * WINDOW
