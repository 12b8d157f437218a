"""A file that is there whole or not at all, and for nobody else to read."""

import os
from pathlib import Path


def write_whole(draft: Path, target: Path, octets: bytes) -> None:
    """The octets are on disk before the file has its name; its directory is for `sync_directory`. `draft`: a name beside it
    that nobody else has; what fails leaves nothing there. Raises OSError."""
    try:
        with open(draft, "xb", buffering=0, opener=private) as file:
            view = memoryview(octets)
            while view:
                view = view[file.write(view) :]
            os.fsync(file.fileno())
        draft.rename(target)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def private(path: str, flags: int) -> int:
    """For `open(opener=)`: mode 0600, whatever the umask."""
    return os.open(path, flags | os.O_CLOEXEC, 0o600)


def sync_file(file: Path) -> None:
    """What was written to it is on disk. Raises OSError."""
    handle = os.open(file, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_directory(directory: Path) -> None:
    """The names in it are on disk. Raises OSError."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def make_directory(directory: Path) -> None:
    """For its owner alone, with those above it that are missing; its name is on disk, also where whoever made it was cut off before that
    was certain. Raises OSError."""
    missing = [one for one in (directory, *directory.parents) if not one.is_dir()]
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    for made in missing or [directory]:
        try:
            sync_directory(made.parent)
        except PermissionError:
            # Who may not look into it has made nothing there.
            if made in missing:
                raise


def keep(target: Path, octets: bytes) -> None:
    """A file of this name with these octets, in place of another where there is one; both are on disk. Raises OSError."""
    draft = target.with_name(target.name + ".new")
    draft.unlink(missing_ok=True)
    write_whole(draft, target, octets)
    sync_directory(target.parent)
