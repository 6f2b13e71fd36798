"""The runs that the report's tests read, each made and rendered once; nothing changes them."""

from __future__ import annotations

import pytest

from infra.report.data.evidence import Evidence, gather_evidence
from infra.report.data.inputs import ReportInputs
from infra.report.page import render_report
from tests.unit.infra.report.reported import complete_inputs, partial_inputs
from tests.unit.infra.report.tasked import tasked_inputs


@pytest.fixture(scope="session")
def complete(tmp_path_factory: pytest.TempPathFactory) -> ReportInputs:
    """A run in which everything was measured."""
    return complete_inputs(tmp_path_factory.mktemp("complete"))


@pytest.fixture(scope="session")
def evidence(complete: ReportInputs) -> Evidence:
    """What the report reads of it."""
    return gather_evidence(complete)


@pytest.fixture(scope="session")
def page(complete: ReportInputs) -> str:
    """Its page."""
    return render_report(complete)


@pytest.fixture(scope="session")
def partial(tmp_path_factory: pytest.TempPathFactory) -> ReportInputs:
    """A run of which little was measured."""
    return partial_inputs(tmp_path_factory.mktemp("partial"))


@pytest.fixture(scope="session")
def tasked(tmp_path_factory: pytest.TempPathFactory) -> ReportInputs:
    """A run whose problems have tasks."""
    return tasked_inputs(tmp_path_factory.mktemp("tasked"))


@pytest.fixture(scope="session")
def tasked_evidence(tasked: ReportInputs) -> Evidence:
    """What the report reads of it."""
    return gather_evidence(tasked)


@pytest.fixture(scope="session")
def tasked_page(tasked: ReportInputs) -> str:
    """Its page."""
    return render_report(tasked)
