"""What is pushed into a remote comes out of it byte for byte, or not at all; here the remote is a folder."""

from __future__ import annotations

import re
import resource
import shutil
from pathlib import Path

import pytest

from infra.remote.object_store import open_store
from infra.remote.remote_store import Pushed, RemoteStore
from infra.store.artifact_store import ArtifactStore
from schemas.errors import ConfigError, RemoteError
from tests.unit.infra.report.published import PROBLEM, publish

pytest.importorskip("obstore", reason="needs obstore, extra `remote`")
KEY = "0123456789abcdef0123"


@pytest.fixture
def here(tmp_path: Path) -> ArtifactStore:
    """A home with one artifact."""
    store = ArtifactStore(tmp_path / "here")
    publish(store, "problems", KEY, tables={"problems": [PROBLEM]})
    return store


@pytest.fixture
def remote(tmp_path: Path) -> RemoteStore:
    return RemoteStore(f"file://{tmp_path / 'remote'}")


def push(remote: RemoteStore, store: ArtifactStore) -> Pushed:
    """Push the one artifact of a home."""
    return remote.push(store.path("problems", KEY))


def pull(remote: RemoteStore, home: Path) -> ArtifactStore:
    """Pull it into another home."""
    store = ArtifactStore(home)
    store.receive("problems", KEY, lambda folder: remote.pull("problems", KEY, folder))
    return store


def contents(folder: Path) -> dict[str, bytes]:
    """File -> bytes."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_an_artifact_comes_back_byte_for_byte_and_is_found(
    remote: RemoteStore, here: ArtifactStore, tmp_path: Path
) -> None:
    assert push(remote, here) is Pushed.UPLOADED
    there = pull(remote, tmp_path / "there")
    assert contents(there.path("problems", KEY)) == contents(here.path("problems", KEY))
    found = there.find("problems", KEY)
    assert found is not None
    assert found.digest == here.manifest("problems", KEY).digest
    assert [p.name for p in there.path("problems", KEY).parent.iterdir()] == [KEY]
    assert remote.keys() == {("problems", KEY)}


def test_what_is_there_is_not_sent_again_and_other_data_are_not_overwritten(
    remote: RemoteStore, here: ArtifactStore, tmp_path: Path
) -> None:
    push(remote, here)
    before = contents(tmp_path / "remote")
    assert push(remote, here) is Pushed.THERE
    # The same data of another run: adopted. Other data under the key: named, and both stay.
    same, other = ArtifactStore(tmp_path / "same"), ArtifactStore(tmp_path / "other")
    publish(same, "problems", KEY, tables={"problems": [PROBLEM]}, run_id="run-2")
    publish(other, "problems", KEY, tables={"problems": [PROBLEM]}, payload="other weights")
    assert push(remote, same) is Pushed.THERE
    assert push(remote, other) is Pushed.DIFFERS
    assert contents(tmp_path / "remote") == before


def test_what_the_remote_lacks_is_none(remote: RemoteStore, tmp_path: Path) -> None:
    assert remote.manifest("problems", KEY) is None
    assert remote.runs() == []
    store = pull(remote, tmp_path / "there")
    assert store.find("problems", KEY) is None
    assert list((store.home / "artifacts" / "problems").iterdir()) == []


@pytest.mark.parametrize("damage", ["flipped", "cut short", "longer", "deleted"])
@pytest.mark.parametrize("name", ["model/payload.txt", "problems.parquet", "build.log", "manifest"])
def test_an_object_with_other_bytes_is_named_and_not_believed(
    remote: RemoteStore, here: ArtifactStore, tmp_path: Path, name: str, damage: str
) -> None:
    push(remote, here)
    manifest = here.manifest("problems", KEY)
    sha256 = next((file.sha256 for file in manifest.files if file.name == name), None)
    path = f"files/{sha256[:2]}/{sha256}" if sha256 else f"artifacts/problems/{KEY}.json"
    file = tmp_path / "remote" / path
    content = file.read_bytes()
    if damage == "deleted":
        file.unlink()
    else:
        file.write_bytes(
            {
                "flipped": content[:-2] + bytes([content[-2] ^ 1]) + content[-1:],
                "cut short": content[:-1],
                "longer": content + b" ",
            }[damage]
        )
    there = tmp_path / "there"
    if (name, damage) == ("manifest", "deleted"):
        assert pull(remote, there).find("problems", KEY) is None
        return
    with pytest.raises(RemoteError, match=re.escape(path)):
        pull(remote, there)
    assert [p for p in there.rglob("*") if p.is_file() and p.suffix != ".lock"] == []


def test_a_manifest_that_names_a_file_outside_its_folder_is_not_followed(
    remote: RemoteStore, here: ArtifactStore, tmp_path: Path
) -> None:
    from infra.store.manifest_file import encode_manifest

    push(remote, here)
    manifest = here.manifest("problems", KEY)
    outside = manifest.files[0].model_copy(update={"name": "../../../escaped"})
    evil = manifest.model_copy(update={"files": (outside, *manifest.files[1:])})
    (tmp_path / "remote" / "artifacts" / "problems" / f"{KEY}.json").write_bytes(encode_manifest(evil))
    with pytest.raises(RemoteError, match="outside its folder"):
        pull(remote, tmp_path / "there")
    assert not list(tmp_path.rglob("escaped"))


def test_an_upload_that_was_cut_off_has_no_manifest_and_goes_on(
    remote: RemoteStore, here: ArtifactStore, tmp_path: Path
) -> None:
    push(remote, here)
    manifest = here.manifest("problems", KEY)
    (tmp_path / "remote" / "artifacts" / "problems" / f"{KEY}.json").unlink()
    sha256 = manifest.files[0].sha256
    half = tmp_path / "remote" / "files" / sha256[:2] / sha256
    half.write_bytes(half.read_bytes()[:-1])
    assert push(remote, here) is Pushed.UPLOADED
    assert pull(remote, tmp_path / "there").find("problems", KEY) is not None


def test_a_disk_that_is_full_here_is_not_the_fault_of_the_remote(
    remote: RemoteStore, here: ArtifactStore, tmp_path: Path
) -> None:
    push(remote, here)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            pull(remote, tmp_path / "there")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert ArtifactStore(tmp_path / "there").find("problems", KEY) is None


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("shared/folder", "no address of a remote; expected s3://BUCKET/PREFIX"),
        ("http://host/folder", "no address of a remote"),
        ("file://folder", "no address of a remote"),
        ("s3://", "no address of a remote|bucket"),
        ("s3://key:secret@bucket/prefix", r"s3://\[key\]@bucket/prefix holds a key"),
        ("s3://bucket/prefix?secret=x", "holds a key or options"),
    ],
)
def test_an_address_that_is_none_is_refused_and_shows_no_key(url: str, message: str) -> None:
    with pytest.raises((ConfigError, RemoteError), match=message) as refused:
        open_store(url)
    assert "secret" not in str(refused.value)


def test_keys_and_places_come_from_the_files_of_aws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from infra.remote.aws_files import endpoint, s3_options

    (tmp_path / "credentials").write_text(
        "[default]\naws_access_key_id = a\naws_secret_access_key = b%c\n[lab]\naws_access_key_id = d\n"
        "aws_secret_access_key = e\naws_session_token = f\n"
    )
    (tmp_path / "config").write_text("[profile lab]\nregion = eu-west-1\nendpoint_url = http://lab:9000\n")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_DEFAULT_REGION",
                 "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT", "AWS_PROFILE"):  # fmt: skip
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    assert s3_options() == {"access_key_id": "a", "secret_access_key": "b%c"}
    monkeypatch.setenv("AWS_PROFILE", "lab")
    lab = {
        "access_key_id": "d", "secret_access_key": "e", "session_token": "f", "region": "eu-west-1",
        "endpoint": "http://lab:9000",
    }  # fmt: skip
    assert s3_options() == lab
    assert endpoint(lab) == "http://lab:9000"
    # The environment comes first, and no key of the files stands beside one of its.
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "g")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    assert s3_options() == {"endpoint": "http://lab:9000"}
    (tmp_path / "credentials").write_text("no section\n")
    shutil.rmtree(tmp_path)
    assert s3_options() == {}
