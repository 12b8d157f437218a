"""A whole installation moves from one store into another, while no server runs on either."""

from pathlib import Path

from gateway.directory.premises import Told
from store.relocation import Relocated, relocate


async def move(source: str, target: str, data: Path, told: Told) -> Relocated:
    """`data`: the directory in which octets that are files lie, for either of them. Raises StoreError; then the source is as it was, and
    the target cannot be opened until it was moved into again."""
    return await relocate(source, target, data, told)


def words(done: Relocated) -> list[str]:
    """What came of it, for an operator."""
    told = [f"{table}: {summed.rows} rows, {summed.hash[:16]}" for table, summed in sorted(done.tables.items()) if summed.rows]
    if done.into_rows:
        told.append(
            f"{done.into_rows} messages lay in files and are in rows now. A server on the new store sweeps such files away within hours:"
        )
        told.append("  whoever may want to go back to the old store as it is keeps a backup of it (or comes back by migrate-store)")
    if done.into_files:
        told.append(f"{done.into_files} messages lay in rows and are in files now")
    if done.objects:
        told.append(f"{done.objects} messages are in the object store still: keep the setting objects.url")
    if done.replaced:
        told.append(f"{done.replaced} rows had a NUL in a text, for which U+FFFD stands now")
    told.append(f"{sum(summed.rows for summed in done.tables.values())} rows were moved, and compared with what was read")
    return told
