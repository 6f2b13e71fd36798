"""`thinkless compare RUN RUN`: what differs in their configurations, and by how much in their results."""

from __future__ import annotations

import argparse

from flows.config_changes import config_changes
from flows.run_choice import choose_run
from infra.catalog.query import run_query
from infra.catalog.sql_text import sql_text
from infra.catalog.table_format import format_table
from infra.settings import Settings


def execute(arguments: argparse.Namespace) -> int:
    """Print both."""
    settings = Settings.from_environment()
    first, second = (choose_run(settings.home, run, having="evaluate") for run in (arguments.first, arguments.second))
    print(f"{first.run_id} (profile {first.profile}) -> {second.run_id} (profile {second.profile})\n")
    print("\n".join(config_changes(first.config, second.config) or ["their configurations are equal"]))
    keys = [next(use.key for use in run.stages if use.stage == "evaluate") for run in (first, second)]
    if keys[0] == keys[1]:
        print(f"\nboth have the same evaluation, {keys[0]}")
        return 0
    table = run_query(
        settings.home,
        sql_text("compared_evaluations"),
        timeout_seconds=settings.lock_timeout_seconds,
        parameters={"first": keys[0], "second": keys[1]},
    )
    print()
    print(format_table(table, arguments.format))
    if arguments.format == "table":
        print(
            "second less first, with 95% intervals (1.96 standard errors over the problems that both have; samples of "
            "a problem averaged first)"
        )
    return 0
