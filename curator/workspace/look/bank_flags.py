"""Which flags two bank versions disagree on: counts and examples, where images were scored under both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from curator.banks.sources.banks import short_address
from curator.store import Database
from curator.store.tables import Row
from curator.types import Bank

EXAMPLES = 20


@dataclass(frozen=True, slots=True)
class FlagChanges:
    """Images of the lake that are scored under both versions, by what each says of them.

    `old` and `new` name the scorings, None where there are none to compare; `note` then says what to do.
    `examples`: rows of the query flag_changes, the largest change of rank first.
    """

    old: str | None
    new: str | None
    note: str | None
    images: int = 0
    flagged_by_both: int = 0
    kept_by_both: int = 0
    newly_flagged: int = 0
    newly_kept: int = 0
    examples: tuple[Row, ...] = ()

    def as_json(self) -> dict[str, object]:
        return asdict(self)


def flag_changes(database: Database, old: Bank, new: Bank) -> FlagChanges:
    """By the scorings of the two that are most alike: of one method id, else of one method."""
    befores, afters = (database.rows("list_scorings_of_bank", bank_digest=bank.digest) for bank in (old, new))
    if (pair := _pair(befores, afters)) is None:
        return FlagChanges(None, None, _how_to_score(old, new, befores, afters))
    before, after = pair
    names = before["scoring"], after["scoring"]
    for bank, side in ((old, before), (new, after)):
        if side["policy_name"] is None:
            how = f"curator calibrate --bank {short_address(bank)} --method {_name(side)} --reference SRC"
            return FlagChanges(*names, f"no policy rules for {side['scoring']}: `{how}`")
    rows = database.rows("count_flag_changes", old_scoring=names[0], new_scoring=names[1])
    counts = {(row["old_flagged"], row["new_flagged"]): row["images"] for row in rows}
    return FlagChanges(
        *names,
        None,
        images=sum(counts.values()),
        flagged_by_both=counts.get((True, True), 0),
        kept_by_both=counts.get((False, False), 0),
        newly_flagged=counts.get((False, True), 0),
        newly_kept=counts.get((True, False), 0),
        examples=tuple(database.rows("flag_changes", old=names[0], new=names[1], limit=EXAMPLES)),
    )


def _pair(befores: Sequence[Row], afters: Sequence[Row]) -> tuple[Row, Row] | None:
    """Both lists come with what the views show first, then the most used."""
    pairs = [(before, after) for before in befores for after in afters]
    same = [(before, after) for before, after in pairs if before["method_id"] == after["method_id"]]
    alike = [(before, after) for before, after in pairs if _name(before) == _name(after)]
    shown = [pair for pair in (*same, *alike) if pair[0]["selected"] or pair[1]["selected"]]
    return next(iter((*shown, *same, *alike)), None)


def _how_to_score(old: Bank, new: Bank, befores: Sequence[Row], afters: Sequence[Row]) -> str:
    """The command that scores what was not scored."""
    if old.encoder_id != new.encoder_id:
        return "the versions are of two encoders, and no image is scored under both by one method"
    methods = [_name(row) for row in (*befores, *afters)][:1]
    options = "".join(f" --bank {short_address(bank)}" for bank in (old, new))
    options += "".join(f" --method {method}" for method in methods)
    return f"no image is scored under both by one method: `curator score{options}` does it"


def _name(row: Row) -> str:
    return str(row["method_id"]).partition("(")[0]
