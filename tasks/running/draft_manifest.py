"""The manifest of a stage before it is built: what was planned, with what, and where."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from typing import Any

from infra.installed import installed_version
from schemas.artifact import MANIFEST_VERSION, InputRef, Manifest
from tasks.running.context import RunContext
from tasks.running.find import RESULT_PACKAGES
from tasks.running.stage import StagePlan

RECORDED_PACKAGES = (
    *RESULT_PACKAGES, "tokenizers", "accelerate", "numpy", "duckdb", "pyarrow", "great-expectations", "prefect",
)  # fmt: skip
"""Packages whose versions go into the manifest, if they are installed."""


def draft_manifest(context: RunContext, plan: StagePlan[Any]) -> Manifest:
    """The manifest without the results of the build."""
    return Manifest(
        manifest_version=MANIFEST_VERSION,
        stage=plan.stage,
        key=plan.key,
        digest="",
        run_id=context.run_id,
        created_at=datetime.now(UTC).isoformat(),
        inputs=tuple(InputRef(stage=a.stage, key=a.key, digest=a.digest, kept=a.kept) for a in plan.inputs),
        config=dict(plan.slice),
        fingerprint=plan.fingerprint,
        sources=dict(plan.sources),
        packages={name: version for name in RECORDED_PACKAGES if (version := installed_version(name))},
        environment={
            "python": platform.python_version(),
            "platform": platform.platform(),
            "machine": platform.machine(),
            "cpu_count": str(os.cpu_count()),
        },
        seed=plan.config.seed,
        rows=0,
        drops={},
        checks=(),
        timings={},
        files=(),
    )
