"""The product from Python: `import thinkless`. What it offers is written in flows/api.py."""

try:
    from flows.api import Policy, Run, load_policy, open_run, run, runs, sql
except ImportError as error:
    import importlib.util

    found = importlib.util.find_spec("flows")
    if found is None or importlib.util.find_spec("flows.cli") is not None:
        raise
    raise ImportError(
        f"the package `flows` is {found.origin or found.submodule_search_locations}, which another distribution "
        "installed; thinkless-flows needs that name: give it an environment of its own"
    ) from error

__all__ = ["Policy", "Run", "load_policy", "open_run", "run", "runs", "sql"]
