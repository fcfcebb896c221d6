"""How a partition is written: one shape, in which manner, among whom."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from chaoskit.faults.model import FaultParameters

__all__ = ["SHAPES", "Ends", "PartitionParameters"]

SHAPES = ("groups", "isolate", "split", "one-way", "bridge", "ring", "dial-cut")
ONE_SIDED = ("one-way",)  # cannot be refused: a closed link is closed in both directions

_NAME: dict[str, Any] = {"type": "string", "pattern": r"\S"}
_NAMES: dict[str, Any] = {"anyOf": [_NAME, {"type": "array", "items": _NAME, "minItems": 1}]}


def _lone(value: Any) -> Any:
    """A name alone is a list of one; numbers are no names, for YAML has made 1 of 01 already."""
    if isinstance(value, str):
        return (value,)
    if not isinstance(value, list | tuple):
        raise ValueError(f"{value!r} is not a name of a node, nor a list of names; a name made of digits needs quotes")
    return value


def _list_of_groups(value: Any) -> Any:
    if not isinstance(value, list | tuple) or not value:
        raise ValueError("groups are a list of lists, such as [[n1], [n2, n3]]")
    return value


Names = Annotated[tuple[str, ...], Field(min_length=1), BeforeValidator(_lone), WithJsonSchema(_NAMES)]


class Ends(BaseModel):
    """Two ends: nodes by name, service, pattern or role; an end that is left out is everybody else."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        validate_by_name=True,
        validate_by_alias=True,
        json_schema_extra={"minProperties": 1},
    )

    source: Names | None = Field(default=None, alias="from", description="who sends, or dials")
    to: Names | None = Field(default=None, description="who is not reached")

    @model_validator(mode="before")
    @classmethod
    def _a_map(cls, value: Any) -> Any:
        if not isinstance(value, dict | Ends):
            raise ValueError("two ends are expected, such as {from: n1, to: [n2, n3]}")
        return value

    @model_validator(mode="after")
    def _one_at_least(self) -> Self:
        if self.source is None and self.to is None:
            raise ValueError("neither from nor to is given")
        return self


class PartitionParameters(FaultParameters):
    """Exactly one shape. Nodes are named as in `on:` (n1, a service, n*), or by a role of the target (leader)."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        validate_by_name=True,
        validate_by_alias=True,
        json_schema_extra={
            "oneOf": [{"required": [shape]} for shape in SHAPES],
            "dependencies": {"leader": ["split"]},
        },
    )

    groups: Annotated[tuple[Names, ...], Field(min_length=1), BeforeValidator(_list_of_groups)] | None = Field(
        default=None, description="groups that do not hear each other; members in none of them form one more, rest"
    )
    isolate: Names | None = Field(default=None, description="cut off, together, from all other members")
    split: Literal["majority-minority"] | None = Field(
        default=None, description="two sides of which one has just more than half; the seed draws who stands where"
    )
    leader: Literal["majority", "minority"] | None = Field(
        default=None, description="of a split: the side on which the leader stands"
    )
    one_way: Ends | None = Field(default=None, alias="one-way", description="what these send does not reach those")
    bridge: Annotated[str, WithJsonSchema(_NAME)] | None = Field(
        default=None, description="two halves that do not hear each other, and this node hears both"
    )
    ring: Literal["neighbours", "majority"] | None = Field(
        default=None,
        description="each hears only its two neighbours, or as many as make a majority; five nodes or more",
    )
    dial_cut: Ends | None = Field(
        default=None, alias="dial-cut", description="connections that these make to those are cut, and no others"
    )
    mode: Literal["silent", "refuse"] = Field(
        default="silent", description="withhold everything until it heals, or refuse connections"
    )
    among: Names | None = Field(
        default=None, description="the members; by default those who dial each other, or all nodes of the stack"
    )

    @property
    def shape(self) -> str:
        """Which of SHAPES it is, as it is written."""
        return next(name for name in SHAPES if getattr(self, name.replace("-", "_")) is not None)

    @model_validator(mode="after")
    def _one_shape(self) -> Self:
        given = [name for name in SHAPES if getattr(self, name.replace("-", "_")) is not None]
        if not given:
            raise ValueError(f"a partition needs a shape, one of: {', '.join(SHAPES)}")
        if len(given) > 1:
            raise ValueError(f"{given[1]} is a second shape beside {given[0]}; keep one of them")
        if self.leader is not None and self.split is None:
            raise ValueError("leader belongs to split: majority-minority; elsewhere name it, such as isolate: leader")
        if self.mode == "refuse" and given[0] in ONE_SIDED:
            raise ValueError(f"mode refuse cannot go with {given[0]}: a closed link is closed in both directions")
        return self
