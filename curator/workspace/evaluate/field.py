"""What is measured in an evaluation: banks, each with the methods that fit it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from curator.errors import BankError, UsageError
from curator.methods import resolve_method
from curator.store import Ledger
from curator.types import Bank
from curator.workspace.context import Context
from curator.workspace.evaluate.plan import EvaluationRequest
from curator.workspace.judge.scoring import Scorer


@dataclass(frozen=True, slots=True)
class Contender:
    """A bank with the methods that fit it, which are scored in one pass; none where only streams are measured.

    address, asked: as they were asked for.
    """

    address: str
    scorer: Scorer
    asked: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Field:
    """What is measured; `passed_over`: pairs of bank and method that do not fit each other."""

    contenders: tuple[Contender, ...]
    passed_over: tuple[str, ...]

    @classmethod
    def find(
        cls,
        context: Context,
        ledger: Ledger,
        request: EvaluationRequest,
        *,
        reference_ids: frozenset[str] | None = None,
    ) -> Field:
        """Raises BankError for a method that none of the banks fits, UsageError where the reference is too small for
        all that could be measured; for some, those are passed over."""
        encoder_id = context.encoder_id(ledger.database)
        methods = (context.config.scan.method,) if request.asked_methods is None else request.asked_methods
        faults: dict[str, list[BankError]] = {method: [] for method in methods}
        unfit: list[UsageError] = []
        passed_over: dict[tuple[str, str], list[str]] = {}  # banks, by method and fault
        contenders: dict[str, Contender] = {}
        addresses = request.banks or (context.config.scan.bank,)
        for address in addresses:
            bank = context.bank_for(ledger, address, encoder_id=encoder_id)
            fitting: dict[str, str] = {}  # by method id: a method may be asked for by two names
            for method in methods:
                try:
                    fitting.setdefault(resolve_method(context.method_spec(method), bank).method_id, method)
                except BankError as fault:
                    faults[method].append(fault)
                    passed_over.setdefault((method, fault.message), []).append(bank_name(bank))
            make = partial(context.scorer, bank, database=ledger.database, reference_ids=reference_ids)
            scorer, wanted, misfits = _fitted(make, tuple(fitting.values()))
            unfit += misfits.values()
            for method, misfit in misfits.items():
                passed_over.setdefault((method, misfit.message), []).append(bank_name(bank))
            if wanted or request.streams:
                contenders.setdefault(bank.digest, Contender(address, scorer or Scorer(bank, ()), wanted))
        for met in faults.values():
            if len(met) == len(addresses):
                raise met[0]
        if unfit and not contenders:
            raise unfit[0]
        said = (
            f"not measured: {method} on bank {', '.join(banks)}: {message}"
            for (method, message), banks in passed_over.items()
        )
        return cls(tuple(contenders.values()), tuple(said))

    @property
    def encoder_id(self) -> str:
        return self.contenders[0].scorer.bank.encoder_id

    @property
    def names(self) -> dict[str, str]:
        """What banks and methods are called, by digest and by id."""
        return {
            **{item.scorer.bank.digest: bank_name(item.scorer.bank) for item in self.contenders},
            **{
                method.method_id: asked
                for item in self.contenders
                for method, asked in zip(item.scorer.methods, item.asked, strict=True)
            },
        }

    @property
    def reference_ids(self) -> frozenset[str]:
        """The reference images that methods measure images against."""
        references = (item.scorer.reference for item in self.contenders)
        return frozenset().union(*(reference.image_ids for reference in references if reference is not None))


def bank_name(bank: Bank) -> str:
    """A bank version in figures: `base@0123abcd`."""
    return f"{bank.name}@{bank.digest[:8]}"


def _fitted(
    make: Callable[..., Scorer], methods: tuple[str, ...]
) -> tuple[Scorer | None, tuple[str, ...], dict[str, UsageError]]:
    """The scorer of those methods that can be fitted on the reference that there is (None for none), which they are,
    and why the others cannot."""
    misfits: dict[str, UsageError] = {}
    if methods:
        try:
            return make(*methods), methods, misfits
        except UsageError:
            for method in methods:
                try:
                    make(method)
                except UsageError as fault:
                    misfits[method] = fault
    wanted = tuple(method for method in methods if method not in misfits)
    return make(*wanted) if wanted else None, wanted, misfits
