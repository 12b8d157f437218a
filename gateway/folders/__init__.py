"""Folders: the only way from a protocol to stored mail. These names are for everybody; the files below are each other's."""

from gateway.folders.judging import HAS_CHILDREN
from gateway.folders.octets import BATCH, BEGINNING, IN_PLACE
from gateway.folders.opened import Kept, OpenFolder
from gateway.folders.service import Folders
from gateway.folders.standpoint import Footing
from gateway.folders.uses import ATTRIBUTES, NOT_ONES_OWN, use_named
from gateway.folders.values import (
    Figures,
    Identified,
    Listed,
    Listing,
    MissingTarget,
    NewItem,
    News,
    Place,
    Quota,
    Subscribed,
    Survey,
    UnknownRight,
    Visit,
)
from store.flags import FlagMode, FlagsChanged

__all__ = [
    "ATTRIBUTES",
    "BATCH",
    "BEGINNING",
    "HAS_CHILDREN",
    "IN_PLACE",
    "NOT_ONES_OWN",
    "Figures",
    "FlagMode",
    "FlagsChanged",
    "Folders",
    "Footing",
    "Identified",
    "Kept",
    "Listed",
    "Listing",
    "MissingTarget",
    "NewItem",
    "News",
    "OpenFolder",
    "Place",
    "Quota",
    "Subscribed",
    "Survey",
    "UnknownRight",
    "Visit",
    "use_named",
]
