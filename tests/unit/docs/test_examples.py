"""What the documentation shows is taken as it stands."""

import re
from pathlib import Path

import pytest

from shared.policy import parse_policy

_DOCS = Path(__file__).parents[3] / "docs"
_BLOCKS = [
    pytest.param(text, id=f"{page.stem}-{number}")
    for page in sorted(_DOCS.glob("*.md"))
    for number, text in enumerate(re.findall(r"^```toml\n(.*?)^```", page.read_text("utf-8"), re.DOTALL | re.MULTILINE))
]


@pytest.mark.parametrize("text", _BLOCKS)
def test_each_piece_of_policy_in_the_documentation_is_a_policy(text: str) -> None:
    listener = '[listeners.submission]\npurpose = "submission"\ntls = "required"\nauth = true\n'
    parse_policy(listener + text.replace("sha256:…", "sha256:" + "ab" * 32))
