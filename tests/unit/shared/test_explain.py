"""Rules of the words for what is wrong: each key with its path, on one line."""

from ipaddress import IPv4Address, IPv6Address
from typing import Annotated, Literal

import pytest
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from shared.explain import explain


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")
    number: int = 0


class Outer(BaseModel):
    inners: dict[str, list[Inner]] = {}


def explained(document: object) -> str:
    with pytest.raises(ValidationError) as caught:
        Outer.model_validate(document)
    return explain(caught.value)


def test_a_key_is_named_with_its_path_through_tables_and_lists() -> None:
    assert explained({"inners": {"a.b": [{}, {"number": "x"}]}}).startswith("inners.a.b.1.number: ")


def test_an_unknown_key_is_called_so() -> None:
    assert explained({"inners": {"a": [{"nmber": 1}]}}) == "inners.a.0.nmber: unknown key"


def test_all_that_is_wrong_stands_on_one_line() -> None:
    text = explained({"inners": {"a": [{"nmber": 1, "number": "x"}]}})
    assert text.count("; ") == 1
    assert "\n" not in text


def test_what_has_no_key_is_the_document() -> None:
    assert explained(5).startswith("document: ")


class Choice(BaseModel):
    value: Literal["all"] | Annotated[list[Annotated[int, Field(le=3)]], AfterValidator(sorted)]
    address: IPv4Address | IPv6Address | None = None


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"value": [1, 4]}, "value.1: Input should be less than or equal to 3"),
        ({"value": 5}, "value: Input should be 'all'"),
        ({"value": "some"}, "value: Input should be 'all'"),
        (
            {"value": "all", "address": "x"},
            "address: Input is not a valid IPv4 address or Input is not a valid IPv6 address",
        ),
    ],
)
def test_a_value_that_may_be_of_several_kinds_is_named_by_its_key_alone(document: object, said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Choice.model_validate(document)
    assert explain(caught.value) == said
