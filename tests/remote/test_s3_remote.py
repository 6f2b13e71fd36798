"""A remote on a real S3 server: races, wrong keys, a full bucket, a cut wire, and a run that another machine opens."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from infra.remote.remote_store import Pushed, RemoteStore
from infra.store.artifact_store import ArtifactStore
from schemas.errors import RemoteError
from tests.closed_address import closed_address
from tests.integration.conftest import BuiltHome
from tests.integration.conftest import built as built
from tests.integration.conftest import thinkless as thinkless
from tests.integration.driver import LABELS, SMALL
from tests.integration.processes import Said
from tests.remote.careless_servers import cut_wire, ignoring_conditions
from tests.remote.seaweed import BUCKET, SECRET, Server, serving
from tests.unit.infra.report.published import publish

pytest.importorskip("obstore", reason="needs obstore, extra `remote`")
URL = f"s3://{BUCKET}/team"
RUN_URL = f"s3://{BUCKET}/run"
KEY = "0123456789abcdef0123"
OVERRIDES = [word for override in SMALL for word in ("--set", override)]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for this file."""
    with serving(tmp_path_factory.mktemp("seaweed")) as running:
        yield running


@pytest.fixture
def asking(server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """The server, with the environment of its clients."""
    for name, value in server.variables().items():
        monkeypatch.setenv(name, value)
    return server


def home_with(folder: Path, *, payload: str = "weights", stage: str = "rl") -> ArtifactStore:
    """A home with one artifact of this content."""
    store = ArtifactStore(folder)
    publish(store, stage, KEY, payload=payload)
    return store


def pulled(remote: RemoteStore, home: Path, *, stage: str = "rl") -> str:
    """The content of the artifact in a home that pulled it."""
    store = ArtifactStore(home)
    assert store.receive(stage, KEY, lambda folder: remote.pull(stage, KEY, folder)) is not None
    assert store.find(stage, KEY) is not None
    return (store.path(stage, KEY) / "model" / "payload.txt").read_text()


def _push(folder: Path, stage: str, gate: multiprocessing.synchronize.Barrier, outcomes: multiprocessing.Queue) -> None:  # type: ignore[type-arg]
    remote = RemoteStore(URL)
    gate.wait()
    outcomes.put((folder.parts[-4], str(remote.push(folder))))
    outcomes.close()
    outcomes.join_thread()
    os._exit(0)  # DuckDB's bindings would print pages as they are unloaded


def test_of_eight_that_push_one_key_at_once_one_wins_and_its_bytes_are_whole(asking: Server, tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    for round_number in range(3):
        stage = f"race{round_number}"
        homes = [home_with(tmp_path / stage / str(n), payload=f"weights {n}" * 10_000, stage=stage) for n in range(8)]
        gate, outcomes = context.Barrier(8), context.Queue()
        pushers = [context.Process(target=_push, args=(h.path(stage, KEY), stage, gate, outcomes)) for h in homes]
        for pusher in pushers:
            pusher.start()
        said = [outcomes.get(timeout=120) for _ in pushers]
        for pusher in pushers:
            pusher.join()
        winners = [name for name, outcome in said if outcome == Pushed.UPLOADED]
        assert len(winners) == 1, said
        assert {outcome for name, outcome in said if name not in winners} == {Pushed.DIFFERS}
        found = pulled(RemoteStore(URL), tmp_path / stage / "other", stage=stage)
        assert found == f"weights {winners[0]}" * 10_000


def test_wrong_keys_are_refused_with_a_way_out(asking: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = home_with(tmp_path / "here")
    for key, secret in (("a-key", "wrong"), ("nobody", SECRET)):
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", key)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret)
        with pytest.raises(RemoteError, match="the keys are refused: see AWS_ACCESS_KEY_ID") as refused:
            RemoteStore(URL).push(home.path("rl", KEY))
        assert "wrong" not in str(refused.value)
        assert SECRET not in str(refused.value)


def test_a_server_that_is_down_is_named_soon(asking: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = home_with(tmp_path / "here")
    monkeypatch.setenv("AWS_ENDPOINT_URL", closed_address())
    began = time.monotonic()
    with pytest.raises(RemoteError, match="see whether the server is up"):
        RemoteStore(URL).push(home.path("rl", KEY))
    assert time.monotonic() - began < 60


def test_a_server_that_ignores_conditions_is_refused_before_anything_is_written(
    asking: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = home_with(tmp_path / "here")
    with ignoring_conditions() as (address, objects):
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)
        with pytest.raises(RemoteError, match="writes over an object that it was told to create"):
            RemoteStore(URL).push(home.path("rl", KEY))
        assert [path for path in objects if not path.endswith("probe-of-conditions")] == []


def test_a_wire_that_is_cut_is_taken_up_again_and_one_that_stays_cut_is_named(
    asking: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    payload = os.urandom(2_000_000).hex()
    home = home_with(tmp_path / "here", payload=payload, stage="cut")
    RemoteStore(URL).push(home.path("cut", KEY))
    with cut_wire(asking.endpoint, after_bytes=1_000_000, times=2) as address:
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)
        assert pulled(RemoteStore(URL), tmp_path / "there", stage="cut") == payload
    with cut_wire(asking.endpoint, after_bytes=1_000_000, times=10**6) as address:
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)
        store = ArtifactStore(tmp_path / "never")
        with pytest.raises(RemoteError, match="files/"):
            store.receive("cut", KEY, lambda folder: RemoteStore(URL).pull("cut", KEY, folder))
        assert store.find("cut", KEY) is None


def test_a_full_bucket_is_named_and_holds_no_half_artifact(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = ArtifactStore(tmp_path / "here")
    publish(home, "rl", KEY, payload=os.urandom(200 << 20).hex())
    with serving(tmp_path / "small", megabytes=256) as small:
        for name, value in small.variables().items():
            monkeypatch.setenv(name, value)
        with pytest.raises(RemoteError, match="the server is full or broken: free some space"):
            RemoteStore(URL).push(home.path("rl", KEY))
        assert RemoteStore(URL).manifest("rl", KEY) is None


def test_what_one_machine_built_another_opens_and_a_third_does_not_build(
    asking: Server, built: BuiltHome, tmp_path: Path, thinkless: Callable[..., Said]
) -> None:
    variables = {**asking.variables(), "THINKLESS_REMOTE": RUN_URL}
    pushed = thinkless(built.path, "push", **variables)
    assert pushed.code == 0, pushed.err
    assert pushed.out.count("uploaded") == len(LABELS), pushed.out
    assert thinkless(built.path, "push", **variables).out.count(" there ") == len(LABELS)

    laptop = tmp_path / "laptop"
    said = thinkless(laptop, "pull", **variables)
    assert said.code == 0, said.err
    assert said.out.count("downloaded") == len(LABELS)
    assert thinkless(laptop, "catalog", "verify").out.strip().endswith("all are whole")
    query = "select benchmark, model, mode, accuracy from eval_summary order by all"
    assert thinkless(laptop, "sql", query).out == thinkless(built.path, "sql", query).out
    page = Path(thinkless(laptop, "report").out.strip())
    assert page.is_relative_to(laptop)
    assert page.read_bytes() == Path(thinkless(built.path, "report").out.strip()).read_bytes()
    status = thinkless(laptop, "remote", "status", **variables)
    assert f"{len(LABELS)} artifacts; {len(LABELS)} of them are here, 0 are only here" in status.out

    third = tmp_path / "third"
    planned = thinkless(third, "run", "--dry-run", *OVERRIDES, **variables).out.splitlines()
    assert [line.split()[:2] for line in planned] == [[label, "take"] for label in LABELS]
    run = thinkless(third, "run", "--no-prefect", *OVERRIDES, **variables)
    assert run.code == 0, run.err
    assert run.err.count(f"taken from {RUN_URL}") == len(LABELS)
    assert "to be built" not in run.err
    for home in (built.path, laptop, third):
        for path in home.rglob("*"):
            assert not path.is_file() or SECRET.encode() not in path.read_bytes(), path
    assert SECRET not in "".join((pushed.out, pushed.err, said.out, said.err, run.out, run.err))


def test_a_remote_that_is_down_stops_no_run_and_push_repeats_the_upload(
    asking: Server, tmp_path: Path, thinkless: Callable[..., Said]
) -> None:
    elsewhere = f"s3://{BUCKET}/later"
    variables = {**asking.variables(), "THINKLESS_REMOTE": elsewhere}
    down = variables | {"AWS_ENDPOINT_URL": closed_address()}
    words = ("run", "--no-prefect", "--until", "problems", *OVERRIDES)
    run = thinkless(tmp_path / "home", *words, **down)
    assert run.code == 0, run.err
    assert run.err.count("this run goes on without the remote: `thinkless push` repeats the upload") == 1
    assert "to be built" in run.err
    pushed = thinkless(tmp_path / "home", "push", **variables)
    assert pushed.out.count("uploaded") == 2, pushed.out + pushed.err
    # A run that uploads as it builds: nothing is left for push.
    straight = variables | {"THINKLESS_REMOTE": f"s3://{BUCKET}/straight"}
    assert thinkless(tmp_path / "new", *words, **straight).err.count("uploaded to s3://") == 2
    assert thinkless(tmp_path / "new", "push", **straight).out.count(" there ") == 2
