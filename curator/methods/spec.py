"""Which method, with which parameters: parsed from text, checked, and written as one canonical id.

The id names every parameter, defaults included, so that scores in the store stay comparable when a default changes:
`neglabel(group_count=100,remainder=drop,scale=30,seed=0,temperature=1)`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, replace
from typing import Annotated, Any, ClassVar, Literal, Protocol, Self, TypeAlias

from curator.errors import BankError, UsageError
from curator.methods.grouping import DEFAULT_GROUP_COUNT
from curator.methods.layers import WHOLE, Layer
from curator.methods.maths import Scores, sigmoid
from curator.methods.measures import KnownImages
from curator.methods.registry import METHODS
from curator.methods.statistics import Needs, Statistics
from curator.ranges import Place, Range, check_fields, hints_of, read_fields
from curator.types import Bank

Parameter: TypeAlias = float | int | str
Precision: TypeAlias = Literal["fast", "full"]  # of cosines, see kernels/float_pass.py
Factor: TypeAlias = Annotated[float, Range(1e-6, 1e6)]  # of cosines; far beyond, exponentials say nothing any more
Count: TypeAlias = Annotated[int, Range(1, 1_000_000_000)]
Share: TypeAlias = Annotated[float, Range(0, 1)]
Natural: TypeAlias = Annotated[int, Range(0, 2**63 - 1)]
Weight: TypeAlias = Annotated[float, Range(0, 1e6)]
Positive: TypeAlias = Annotated[float, Range(0, above=True)]
DefaultRule: TypeAlias = Literal["even_odds", "label_for_label"]
SPEC_TEXT = re.compile(r"(?P<name>[\w-]+)(?:\((?P<closed>.*)\)|:(?P<open>.*))?")


class Method(Protocol):
    """A method with all its parameters set. Implementations are frozen dataclasses; their fields are the parameters."""

    name: ClassVar[str]
    formula: ClassVar[Callable[..., Scores]]  # the pure form, see registry.score

    @property
    def precision(self) -> Literal["full"] | None:
        """Of the cosines that it scores by, as its id has it; None is fast."""

    @property
    def method_id(self) -> str:
        """The canonical id of method and parameters."""

    @classmethod
    def for_bank(cls, bank: Bank, parameters: Mapping[str, Any]) -> Self:
        """The method with the bank's defaults. Raises BankError when it cannot work on such a bank."""

    @property
    def needs(self) -> Needs:
        """What it must know of an image, of the whole bank."""

    @property
    def layer_needs(self) -> Mapping[Layer, Needs]:
        """What it must know beside, of layers of the bank."""

    def log_odds(self, statistics: Statistics) -> Scores:
        """(n,) float64, finite: what images are ranked by, the logit of `id_score` where that is a probability.

        Where it is none, another strictly increasing function of it, exact also where `id_score` saturates.
        """

    def id_score(self, log_odds: Scores) -> Scores:
        """The published score, (n,) float64, of these log-odds."""

    def default_min_log_odds(self, even: Statistics, rule: DefaultRule) -> float:
        """The cut when nothing was calibrated. Raises UsageError when the method has no natural one.

        even: of one image that has cosine 0 with every label, see `exact_pass.even_statistics`.
        even_odds: where `id_score` is one half. label_for_label: where an image stands that is equally similar to all
        labels, so that the number of labels on either side does not matter.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedMethod:
    """For all methods: the id is made of the fields, and what is asked for is asked of the whole bank.

    `precision` is one of the fields, so that scores of cosines of 8 and of 15 bits are never taken for each other; that
    of the fast ones is unmarked. A method that has nothing to check but its fields needs no `__post_init__` of its own.
    """

    precision: Literal["full"] | None = None

    def __post_init__(self) -> None:
        check_parameters(self)

    @property
    def method_id(self) -> str:
        return MethodSpec.of(self).method_id

    @classmethod
    def for_bank(cls, bank: Bank, parameters: Mapping[str, Any]) -> Self:
        return cls(**parameters)

    @property
    def needs(self) -> Needs:
        return Needs()

    @property
    def layer_needs(self) -> Mapping[Layer, Needs]:
        return {}

    def default_min_log_odds(self: Method, even: Statistics, rule: DefaultRule) -> float:
        """0, or the log-odds of an image equally similar to all labels; for what weighs ID labels against negatives."""
        return 0.0 if rule == "even_odds" else float(self.log_odds(even)[0])


class ProbabilityMethod(NamedMethod):
    """For methods whose score is a probability."""

    def id_score(self, log_odds: Scores) -> Scores:
        return sigmoid(log_odds)


class PlainMethod(NamedMethod):
    """For methods whose score is ranked by as it stands and that have no natural threshold."""

    def id_score(self, log_odds: Scores) -> Scores:
        return log_odds

    def default_min_log_odds(self, even: Statistics, rule: DefaultRule) -> float:
        raise no_natural_threshold(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceMethod(PlainMethod):
    """For methods that are fitted on the ID reference images: `reference` names these, and is filled in by itself, as
    are the other fields in `measured`."""

    name: ClassVar[str]
    measured: ClassVar[tuple[str, ...]] = ("reference",)
    reference: str = ""

    @classmethod
    def for_bank(cls, bank: Bank, parameters: Mapping[str, Any]) -> Self:
        if given := [name for name in cls.measured if parameters.get(name)]:
            raise UsageError(f"{cls.name}: {', '.join(given)}: measured on the reference, no parameter")
        return cls(**parameters)

    def fitted(self, bank: Bank, reference: KnownImages) -> Self:
        """The method with what is measured on the reference. Raises UsageError where its images are too few."""
        return self


def needs_of(methods: Sequence[Method]) -> dict[Layer, Needs]:
    """What all of them ask, by layer; the whole bank is always among them."""
    asked: dict[Layer, Needs] = {WHOLE: Needs()}
    for method in methods:
        for layer, needs in ((WHOLE, method.needs), *method.layer_needs.items()):
            asked[layer] = asked.get(layer, Needs()) | needs
    return asked


def no_natural_threshold(method: Any) -> UsageError:
    return UsageError(
        f"{method.method_id} has no natural threshold",
        hint="measure one on known ID images with `curator calibrate`",
    )


def bank_scale(bank: Bank) -> float:
    """The encoder's logit scale to six digits: models keep its logarithm in float32, and 30 comes out as 30.000002."""
    return float(f"{bank.logit_scale:.6g}")


def require_negatives(name: str, bank: Bank) -> None:
    """Raises BankError for a bank without negative labels."""
    if len(bank.labels) == bank.id_count:
        raise BankError(
            f"{name} needs negative labels",
            hint=f"bank {bank.name} has none: raise mining.limit in its spec, or use the method mcm",
        )


@dataclass(frozen=True, slots=True)
class MethodSpec:
    """A method's name and the parameters given for it."""

    name: str
    parameters: Mapping[str, Parameter]

    @property
    def method_id(self) -> str:
        listed = ",".join(f"{key}={format_parameter(value)}" for key, value in sorted(self.parameters.items()))
        return f"{self.name}({listed})"

    @classmethod
    def of(cls, method: Any) -> MethodSpec:
        """The full spec of a method: its fields, less the alternatives that are not in use (None)."""
        values = {field.name: getattr(method, field.name) for field in fields(method)}
        return cls(method.name, {name: value for name, value in values.items() if value is not None})

    @classmethod
    def parse(cls, text: str) -> MethodSpec:
        """From `name`, `name:key=value,key=value` or a canonical id `name(key=value,…)`. Values stay text."""
        match = SPEC_TEXT.fullmatch(text.strip())
        if match is None:
            raise UsageError(f"{text!r} does not name a method", hint="write neglabel or neglabel:group_count=10")
        listed = match["closed"] or match["open"] or ""
        pairs = [item.partition("=") for item in listed.split(",") if item.strip()]
        return cls(match["name"], {key.strip(): value.strip() for key, _, value in pairs})


def short_forms(method_ids: Iterable[str]) -> dict[str, str]:
    """Canonical ids in their short form. Where two of them would read the same, both stay as they are."""
    found = {method_id: short_form(method_id) for method_id in method_ids}
    often = Counter(found.values())
    return {method_id: short if often[short] == 1 else method_id for method_id, short in found.items()}


def short_form(method_id: str) -> str:
    """A canonical id as people write it, without what goes without saying: `neglabel:temperature=0.5`."""
    try:
        spec = MethodSpec.parse(method_id)
        kind: type[Any] = METHODS.get(spec.name)
        known = {field.name: field for field in fields(kind)}
        required = {name for name, field in known.items() if field.default is MISSING}  # what the bank says
        default = kind(**{name: float(spec.parameters[name]) for name in required})
    except (UsageError, KeyError, ValueError):
        return method_id  # of another release
    unsaid = {"group_count": DEFAULT_GROUP_COUNT, **MethodSpec.of(default).parameters}
    said = {
        name: value
        for name, value in spec.parameters.items()
        if name not in {*required, *getattr(kind, "measured", ())} and format_parameter(unsaid.get(name, "")) != value
    }
    return spec.name + (":" if said else "") + ",".join(f"{name}={value}" for name, value in said.items())


def resolve_method(method: str | MethodSpec, bank: Bank) -> Method:
    """A ready method from its name, its text or its spec; what is not given comes from the bank and the defaults.

    Raises UsageError for an unknown method or parameter or a bad value, BankError when the bank lacks what it needs.
    """
    spec = MethodSpec.parse(method) if isinstance(method, str) else method
    kind: type[Method] = METHODS.get(spec.name)
    parameters = checked_parameters(kind, spec.parameters)
    full = parameters.pop("precision", None) is not None
    found = kind.for_bank(bank, parameters)
    return with_precision(found, "full") if full else found


def check_method(text: str) -> None:
    """Raises UsageError for a text that is no method on any bank: its name, a parameter, or a value out of range."""
    spec = MethodSpec.parse(text)
    checked_parameters(METHODS.get(spec.name), spec.parameters)


def with_precision(method: Method, precision: Precision) -> Method:
    """The method on cosines of that precision."""
    marked: Method = replace(method, precision="full" if precision == "full" else None)  # type: ignore[type-var]
    return marked


def precision_of(methods: Sequence[Method]) -> Precision:
    """The one precision of all of them. Raises UsageError for methods of both: one pass over the labels has one."""
    found = {method.precision for method in methods}
    if len(found) > 1:
        raise UsageError(
            "methods of both precisions cannot be scored in one pass", hint="name them in two calls of the command"
        )
    return "full" if found == {"full"} else "fast"


def checked_parameters(kind: type[Any], parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The given parameters as the method's fields declare them, type and range. Raises UsageError."""
    known = hints_of(kind)
    for name in parameters:
        if name not in known:
            hint = f"known: {', '.join(sorted(known))}"
            raise UsageError(f"method {kind.name} has no parameter {name!r}", hint=hint)
    return read_fields(kind, {name: str(value) for name, value in parameters.items()}, Place(kind.name))


def check_parameters(method: Any) -> None:
    """Raises UsageError unless the fields of a method are of the type and in the range that they declare."""
    check_fields(method, Place(method.name))


def format_parameter(value: Parameter) -> str:
    """Shortest text that reads back as the same value: 30.0 as `30`, 0.01 as `0.01`."""
    return repr(value).removesuffix(".0") if isinstance(value, float) else str(value)
