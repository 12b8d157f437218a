"""From settings to an object store, and whether it is ours."""

import asyncio
from pathlib import Path

import pytest

from config.settings import Objects
from gateway.objects import credentials, furnished, opened
from store import objects
from store.blobs import Files
from store.connect import connect
from store.errors import Unusable
from store.objects import ObjectFiles
from store.port import Store
from tests.live.bucket import ACCESS, NAME, SECRET, Bucket


def keys(directory: Path) -> Path:
    file = directory / "keys"
    file.write_text(f"AWS_ACCESS_KEY_ID={ACCESS}\n\n# a remark\nAWS_SECRET_ACCESS_KEY= {SECRET}\n")
    return file


def of(bucket: Bucket, directory: Path) -> Objects:
    return Objects(url=f"s3://{NAME}/here", endpoint=bucket.endpoint, region="eu", credentials=keys(directory), timeout=2)


@pytest.fixture
async def store(tmp_path: Path) -> Store:
    return await connect("sqlite:///{data}/procura.db", tmp_path / "data")


async def home(store: Store) -> str | None:
    async with store.snapshot() as snapshot:
        return await snapshot.ask(objects.home)


async def test_without_a_url_there_are_files(store: Store, tmp_path: Path) -> None:
    files = await furnished(Objects(), Files(tmp_path / "octets"), store)
    assert type(files) is Files
    assert await home(store) is None
    await store.close()


async def test_an_installation_finds_itself_again_and_nobody_else(store: Store, tmp_path: Path) -> None:
    with Bucket() as bucket:
        wanted = of(bucket, tmp_path)
        made = await asyncio.gather(*(furnished(wanted, Files(tmp_path / str(node)), store) for node in range(3)))
        assert len({one.name for one in made if isinstance(one, ObjectFiles)}) == 1, "nodes that start at once agree"
        assert await home(store) == made[0].name  # type: ignore[attr-defined]
        again = await furnished(wanted, Files(tmp_path / "again"), store)
        assert isinstance(again, ObjectFiles)
        assert again.name == await home(store)
        bucket.is_down = True
        assert isinstance(await furnished(wanted, Files(tmp_path), store), ObjectFiles), "what is known may be away for a while"
        bucket.is_down = False
        bucket.objects.clear()
        with pytest.raises(Unusable, match="is not where the messages"):
            await furnished(wanted, Files(tmp_path), store)
    await store.close()


async def test_nothing_begins_with_one_that_does_not_work(store: Store, tmp_path: Path) -> None:
    with Bucket() as bucket:
        wanted = of(bucket, tmp_path)
        bucket.is_down = True
        with pytest.raises(Unusable, match="does not write") as caught:
            await furnished(wanted, Files(tmp_path), store)
        assert SECRET not in str(caught.value)
        assert ACCESS not in str(caught.value)
        bucket.is_down = False
        with pytest.raises(Unusable):
            await furnished(wanted.model_copy(update={"url": "s3://another/here"}), Files(tmp_path), store)
        assert await home(store) is None
    await store.close()


def test_a_file_of_credentials(tmp_path: Path) -> None:
    assert credentials(keys(tmp_path)) == {"aws_access_key_id": ACCESS, "aws_secret_access_key": SECRET}
    for wrong in (f"{SECRET}\n", f"={SECRET}\n"):
        (tmp_path / "wrong").write_text(wrong)
        with pytest.raises(Unusable) as caught:
            credentials(tmp_path / "wrong")
        assert SECRET not in str(caught.value)
    (tmp_path / "wrong").write_bytes(b"\xff\xfe")
    with pytest.raises(Unusable):
        credentials(tmp_path / "wrong")
    with pytest.raises(Unusable):
        credentials(tmp_path / "none")


def test_what_cannot_be_set_is_refused_without_a_word_of_it(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text(f"NO_SUCH_NAME={SECRET}\n")
    with pytest.raises(Unusable) as caught:
        opened(Objects(url="s3://bucket/prefix", credentials=tmp_path / "keys"))
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("url", ["gs://bucket/prefix", "az://container/prefix"])
def test_the_others_are_known_too(tmp_path: Path, url: str) -> None:
    (tmp_path / "keys").write_text("AZURE_STORAGE_ACCOUNT_NAME=a\nAZURE_STORAGE_ACCOUNT_KEY=YQ==\n" if url[0] == "a" else "")
    assert opened(Objects(url=url, credentials=tmp_path / "keys")) is not None
