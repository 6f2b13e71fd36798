"""Checks within seconds that the Hugging Face Hub can be reached, so that its client does not wait for minutes.

The client retries a host that does not answer for minutes; one short request of our own is sent first.
"""

from __future__ import annotations

import os

import httpx
from huggingface_hub import constants, try_to_load_from_cache

from schemas.errors import SourceError

LOOK_SECONDS = 5.0
_WEIGHTS = ("model.safetensors", "model.safetensors.index.json")


def hub_address() -> str:
    """Where the client looks (`HF_ENDPOINT`)."""
    return str(constants.ENDPOINT)


def why_unreachable() -> str | None:
    """None if the Hub answers, else the reason in words."""
    if constants.HF_HUB_OFFLINE:
        return "HF_HUB_OFFLINE is set"
    try:
        httpx.head(hub_address(), timeout=LOOK_SECONDS, follow_redirects=True)
    except httpx.RequestError as error:
        return f"{type(error).__name__}: {' '.join(str(error).split()) or 'no answer'}"
    return None


def stay_offline() -> None:
    """Have the client, and the libraries above it, look into their caches alone. Before they are imported."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    constants.HF_HUB_OFFLINE = True


def give_up_early() -> None:
    """Have the data sets library try a read again once, not twenty times."""
    import datasets.config

    for name in ("STREAMING_READ_MAX_RETRIES", "STREAMING_OPEN_MAX_RETRIES"):
        setattr(datasets.config, name, 1)


def model_is_cached(name: str, *, revision: str | None) -> bool:
    """Whether a model's configuration, tokenizer and weights are on this machine."""

    def cached(file: str) -> bool:
        return isinstance(try_to_load_from_cache(name, file, revision=revision), str)

    return cached("config.json") and cached("tokenizer_config.json") and any(map(cached, _WEIGHTS))


def check_model(name: str, *, revision: str | None) -> str:
    """Whether the Hub gives a model's files; raises SourceError if it is absent, gated or without safetensors."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RepositoryNotFoundError, RevisionNotFoundError

    api = HfApi(endpoint=hub_address())
    try:
        info = api.model_info(name, revision=revision, timeout=LOOK_SECONDS)
        api.auth_check(name)
    except GatedRepoError as error:
        raise SourceError(
            f"model {name!r} is gated; accept its terms at {hub_address()}/{name}, then log in with `hf auth login` or "
            "set HF_TOKEN"
        ) from error
    except RevisionNotFoundError as error:
        raise SourceError(f"model {name!r} has no revision {revision!r}; see {hub_address()}/{name}/commits") from error
    except RepositoryNotFoundError as error:
        raise SourceError(
            f"model {name!r} does not exist on {hub_address()}, or is private; check its name, or set HF_TOKEN"
        ) from error
    except (HfHubHTTPError, httpx.HTTPError) as error:
        raise SourceError(f"model {name!r}: the Hub broke off: {' '.join(str(error).split())[:200]}") from error
    files = [sibling.rfilename for sibling in info.siblings or ()]
    if not any(file.endswith(".safetensors") for file in files):
        raise SourceError(
            f"model {name!r} has no safetensors weights among its {len(files)} files; choose one that has"
        )
    return f"model {name} at {str(info.sha)[:12]}"
