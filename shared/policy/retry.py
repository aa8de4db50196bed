"""When delivery tries again, and when it gives up (PURE)."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from shared.policy.table import Table

# RFC 3463 §2: without zeros in front.
_CODE = re.compile(r"4\.(?:0|[1-9]\d{0,2})\.(?:0|[1-9]\d{0,2})\Z")


def _code(text: str) -> str:
    if not _CODE.match(text):
        raise ValueError(f"{text[:80]!r} is not an enhanced status code of class 4, such as 4.2.2")
    return text


Steps = Annotated[list[Annotated[int, Field(ge=1, le=1_209_600)]], Field(min_length=1, max_length=50)]
EnhancedCode = Annotated[str, AfterValidator(_code)]


class RetryRules(Table):
    """When delivery tries again. Of each list of waits, the last one repeats.

    steps_s: after replies of no other kind. connection_steps_s: after a hop that could not be reached, or was lost.
    greylisted_steps_s: after replies that say, or look like, greylisting. policy_steps_s: after 4.7.x and the like: the
    hop has something against us for now. codes: by enhanced status code, before all of these. lifetime_s: since it was
    received; then it is given up. delay_notice_after_s: when its sender is told that it is late; never, from lifetime_s
    on.
    """

    steps_s: Steps = [60, 300, 900, 1800, 3600, 7200, 10_800, 14_400]
    connection_steps_s: Steps = [60, 300, 900, 1800, 3600, 7200, 10_800, 14_400]
    greylisted_steps_s: Steps = [60, 300, 300, 900, 1800, 3600, 7200, 14_400]
    policy_steps_s: Steps = [300, 900, 1800, 3600, 7200, 14_400]
    codes: dict[EnhancedCode, Steps] = Field({}, max_length=200)
    # RFC 5321 §4.5.4.1: give up after 4 to 5 days.
    lifetime_s: int = Field(432_000, ge=60, le=1_209_600)
    delay_notice_after_s: int = Field(14_400, ge=60)
