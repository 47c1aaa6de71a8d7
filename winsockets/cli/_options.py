"""What the options of several commands take."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

import click

__all__ = ["seconds", "seconds_above_0", "whole_number"]

_LONGEST_WAIT = 86400.0


def seconds(ctx: click.Context, param: click.Parameter, value: str | None) -> float | None:
    """Take a time, if there is one; no "nan" gets through to a clock."""
    if value is None:
        return None
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not 0 <= number <= _LONGEST_WAIT:
        raise click.BadParameter(
            f"{value!r} is not a number of seconds from 0 to {_LONGEST_WAIT:g}", ctx, param
        )
    return number


def seconds_above_0(ctx: click.Context, param: click.Parameter, value: str | None) -> float | None:
    """Take a time that is not nothing, if there is one."""
    number = seconds(ctx, param, value)
    if number == 0:
        raise click.BadParameter("it has to be greater than 0", ctx, param)
    return number


def whole_number(
    largest: int, smallest: int = 1
) -> Callable[[click.Context, click.Parameter, str | None], int | None]:
    """Take a number, if there is one; click's own range leaves it open what is wrong with "1e3"."""

    def check(ctx: click.Context, param: click.Parameter, value: str | None) -> int | None:
        if value is None:
            return None
        if not re.fullmatch("[0-9]{1,18}", value) or not smallest <= int(value) <= largest:
            raise click.BadParameter(
                f"{value!r} is not a whole number from {smallest} to {largest}", ctx, param
            )
        return int(value)

    return check
