"""Checks before a run, at no cost, that a teacher's endpoint answers.

GET base_url/models, with the key -> a sentence, or TeacherError with the way out
"""

from __future__ import annotations

import httpx

from infra.endpoints.api_key import ApiKey
from schemas.configs.teacher import Endpoint
from schemas.errors import TeacherError, nearest

LOOK_SECONDS = 10.0


def check_endpoint(config: Endpoint) -> str:
    """A sentence about the endpoint; raises TeacherError if it is down, refuses the key, or lists other models."""
    where = f"endpoint {config.base_url}"
    key = ApiKey.from_environment(config.api_key_env) if config.api_key_env else None
    try:
        response = httpx.get(f"{config.base_url}/models", headers=key.headers() if key else {}, timeout=LOOK_SECONDS)
    except httpx.RequestError as error:
        raise TeacherError(
            f"{where} does not answer ({type(error).__name__}: {error}); start it, or correct teacher.base_url"
        ) from None
    if response.status_code in (401, 403):
        named = f"environment variable {config.api_key_env}" if config.api_key_env else "teacher.api_key_env (not set)"
        raise TeacherError(f"{where} refuses the key ({response.status_code}); check {named}")
    if response.status_code >= 500:
        raise TeacherError(f"{where} answers {response.status_code}; look at its own log")
    try:
        models = [str(model["id"]) for model in response.json()["data"]]
    except (ValueError, KeyError, TypeError):
        return f"{config.base_url} answers, and lists no models: whether it serves {config.model} is not known"
    if config.model not in models:
        raise TeacherError(f"{where} serves no model {config.model!r}; {nearest(config.model, models)}")
    return f"{config.base_url} serves {config.model}"
