"""Whose a folder is: looked for once by a process, since a folder never changes hands and its number is never given again."""

from typing import Final

MOST: Final = 200_000
"""Folders that are remembered: some 30 MB."""


class Owners:
    """By the number of the folder. What is there is true in every snapshot that has the folder."""

    __slots__ = ("_found", "_most")

    def __init__(self, most: int = MOST) -> None:
        self._found: dict[int, int] = {}
        self._most = most

    def of(self, folder: int) -> int | None:
        """None: it was not looked for yet."""
        return self._found.get(folder)

    def remember(self, folder: int, owner: int) -> None:
        """Where there is no room, all others are looked for again."""
        if len(self._found) >= self._most:
            self._found = {}
        self._found[folder] = owner
