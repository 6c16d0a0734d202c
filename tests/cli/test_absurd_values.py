"""Absurd values on the command line: refused in one line before any work, whatever the option; never a traceback."""

from __future__ import annotations

import click
import pytest

from curator.cli import cli

HUGE = str(10**25)


def options(group: click.Group, path: tuple[str, ...] = ()) -> list[tuple[str, click.Option]]:
    found = []
    for name, command in sorted(group.commands.items()):
        here = " ".join((*path, name))
        found += [(here, item) for item in command.params if isinstance(item, click.Option) and not item.is_flag]
        if isinstance(command, click.Group):
            found += options(command, (*path, name))
    return found


NUMBERS = [
    pytest.param(command, option, id=f"{command} {option.opts[-1]}")
    for command, option in options(cli)
    if isinstance(option.type, click.types.FloatParamType | click.types.IntParamType)
]


@pytest.mark.parametrize(("command", "option"), NUMBERS)
@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "1e999", "-2", "", "../../etc", "x" * 5000, "1e308", HUGE])
def test_a_number_that_makes_no_sense_is_refused_before_any_work(command, option, text):
    with pytest.raises(click.BadParameter):
        option.type.convert(text, option, click.Context(cli))


def test_every_number_has_a_range():
    assert [param.id for param in NUMBERS if getattr(param.values[1].type, "min", None) is None] == []
    assert len(NUMBERS) > 25
