"""A pytest plugin: a suite in which everything skipped fails, because it has shown nothing."""

from __future__ import annotations

import pytest

RAN = ("passed", "failed", "error", "xpassed", "xfailed")


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Turn "all skipped" into a failure of the session."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or session.config.option.collectonly or exitstatus != pytest.ExitCode.OK:
        return
    skipped = reporter.stats.get("skipped", [])  # of all workers, where tests run side by side
    if skipped and not any(reporter.stats.get(outcome) for outcome in RAN):
        reporter.write_line(f"every one of {len(skipped)} tests skipped: nothing was shown", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
