"""Commands of `carbonio prov` that are not here, and what to do instead: so that nobody looks for a misspelling."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True, slots=True)
class Absent:
    """One command. `why`: what there is instead, or why there is nothing."""

    name: str
    short: str
    why: str


_NO_LOGGERS: Final = "the log has one level, log.level, for everybody"
_NO_RESOURCES: Final = "a room or device is an account here"
_NO_GAL: Final = "this server has no address book; searchAccounts finds accounts"
_NO_CONFIG: Final = "settings are a file: procura settings shows them"
_NO_SERVERS: Final = "procura settings shows where this server listens; there is no register of servers"
_NO_CHAT: Final = "there is no chat"
_NO_FREEBUSY: Final = "there are no calendars to read"
_NO_PERSONAS: Final = "mail clients keep them; grantRight sendAs says who may write as whom"
_NO_FETCHING: Final = "no mail is fetched from elsewhere"
_NO_PRE_AUTH: Final = "logins by somebody else's word come with tokens (oauth.*)"
_NO_HAB: Final = "lists have no tree; nested lists do what it is for"
_NO_CACHE: Final = "there is no cache to be emptied: changes count at once"
_NO_PROXY: Final = "there is no proxy to be told"
_NO_SMIME: Final = "certificates of people are kept by their mail clients"
_NO_COMBO: Final = "rights do not contain each other; policy/README.md has what a role may do"
_NO_INDEX: Final = "the index is filled and mended by itself; search.db may be deleted"

ABSENT: Final = (
    Absent("addAccountLogger", "aal", _NO_LOGGERS),
    Absent("autoCompleteGal", "acg", _NO_GAL),
    Absent("autoProvControl", "apc", "accounts are made by createAccount, many by -f FILE"),
    Absent("changePrimaryEmail", "cpe", "renameAccount, then addAccountAlias with the old address"),
    Absent("countObjects", "cto", "getAllAccounts, getAllDistributionLists and getAllDomains list them; countAccount counts accounts"),
    Absent("createBulkAccounts", "cabulk", "createAccount once a line, by -f FILE"),
    Absent("createCalendarResource", "ccr", _NO_RESOURCES),
    Absent("createDataSource", "cds", _NO_FETCHING),
    Absent("createDistributionListsBulk", "cdlbulk", "createDistributionList once a line, by -f FILE"),
    Absent("createServer", "cs", _NO_SERVERS),
    Absent("createIdentity", "cid", _NO_PERSONAS),
    Absent("createSignature", "csig", _NO_PERSONAS),
    Absent("createXMPPComponent", "cxc", _NO_CHAT),
    Absent("deleteCalendarResource", "dcr", _NO_RESOURCES),
    Absent("deleteDataSource", "dds", _NO_FETCHING),
    Absent("deleteIdentity", "did", _NO_PERSONAS),
    Absent("deleteSignature", "dsig", _NO_PERSONAS),
    Absent("deleteServer", "ds", _NO_SERVERS),
    Absent("deleteXMPPComponent", "dxc", _NO_CHAT),
    Absent("describe", "desc", "getAccount, getCos, getDomain and getDistributionList show every attribute that there is"),
    Absent("exit", "quit", "there is no prompt of its own; -f - reads commands from standard input"),
    Absent("flushCache", "fc", _NO_CACHE),
    Absent("generateDomainPreAuth", "gdpa", _NO_PRE_AUTH),
    Absent("generateDomainPreAuthKey", "gdpak", _NO_PRE_AUTH),
    Absent("getDataSources", "gds", _NO_FETCHING),
    Absent("getIdentities", "gid", _NO_PERSONAS),
    Absent("getSignatures", "gsig", _NO_PERSONAS),
    Absent("getAccountLoggers", "gal", _NO_LOGGERS),
    Absent("getAllAccountLoggers", "gaal", _NO_LOGGERS),
    Absent("getAllCalendarResources", "gacr", _NO_RESOURCES),
    Absent("getAllConfig", "gacf", _NO_CONFIG),
    Absent("getAllEffectiveRights", "gaer", "procura roles show ACCOUNT, and procura can ACTOR"),
    Absent("getAllFbp", "gafbp", _NO_FREEBUSY),
    Absent("getAllRights", "gar", _NO_COMBO),
    Absent("getAllServers", "gas", _NO_SERVERS),
    Absent("getAllXMPPComponents", "gaxcs", _NO_CHAT),
    Absent("getAuthTokenInfo", "gati", "tokens are their issuer's"),
    Absent("getCalendarResource", "gcr", _NO_RESOURCES),
    Absent("getConfig", "gcf", _NO_CONFIG),
    Absent("getDomainInfo", "gdi", "getDomain"),
    Absent("getConfigSMIMEConfig", "gcsc", _NO_SMIME),
    Absent("getDomainSMIMEConfig", "gdsc", _NO_SMIME),
    Absent("getEffectiveRights", "ger", "procura can ACTOR, and procura who-can RIGHT OWNER"),
    Absent("getCreateObjectAttrs", "gcoa", "policy/README.md has which role may set what"),
    Absent("getFreebusyQueueInfo", "gfbqi", _NO_FREEBUSY),
    Absent("getMailboxInfo", "gmi", "getAccount NAME id used"),
    Absent("getRight", "gr", _NO_COMBO),
    Absent("getRightsDoc", "grd", _NO_COMBO),
    Absent("getServer", "gs", _NO_SERVERS),
    Absent("getShareInfo", "gsi", "selectMailbox OWNER getFolderGrant, procura grants list --owner OWNER"),
    Absent("getSpnegoDomain", "gsd", "logins by Kerberos are not there"),
    Absent("getXMPPComponent", "gxc", _NO_CHAT),
    Absent("help", "?", "procura prov --help, and VERB --help"),
    Absent("modifyCalendarResource", "mcr", _NO_RESOURCES),
    Absent("modifyConfig", "mcf", _NO_CONFIG),
    Absent("modifyDataSource", "mds", _NO_FETCHING),
    Absent("modifyConfigSMIMEConfig", "mcsc", _NO_SMIME),
    Absent("modifyDomainSMIMEConfig", "mdsc", _NO_SMIME),
    Absent("modifyIdentity", "mid", _NO_PERSONAS),
    Absent("modifySignature", "msig", _NO_PERSONAS),
    Absent("modifyServer", "ms", _NO_SERVERS),
    Absent("modifyXMPPComponent", "mxc", _NO_CHAT),
    Absent("pushFreebusy", "pfb", _NO_FREEBUSY),
    Absent("pushFreebusyDomain", "pfbd", _NO_FREEBUSY),
    Absent("purgeAccountCalendarCache", "pacc", _NO_CACHE),
    Absent("purgeFreebusyQueue", "pfbq", _NO_FREEBUSY),
    Absent("recalculateMailboxCounts", "rmc", "procura verify counts anew, --repair mends"),
    Absent("removeAccountLogger", "ral", _NO_LOGGERS),
    Absent("removeConfigSMIMEConfig", "rcsc", _NO_SMIME),
    Absent("removeDomainSMIMEConfig", "rdsc", _NO_SMIME),
    Absent("renameCalendarResource", "rcr", _NO_RESOURCES),
    Absent("reIndexMailbox", "rim", _NO_INDEX),
    Absent("compactIndexMailbox", "cim", _NO_INDEX),
    Absent("verifyIndex", "vi", _NO_INDEX),
    Absent("getIndexStats", "gis", _NO_INDEX),
    Absent("searchCalendarResources", "scr", _NO_RESOURCES),
    Absent("searchGal", "sg", _NO_GAL),
    Absent("getAllMtaAuthURLs", "gamau", _NO_PROXY),
    Absent("getAllReverseProxyURLs", "garpu", _NO_PROXY),
    Absent("getAllReverseProxyBackends", "garpb", _NO_PROXY),
    Absent("getAllReverseProxyDomains", "garpd", _NO_PROXY),
    Absent("getAllMemcachedServers", "gamcs", _NO_CACHE),
    Absent("reloadMemcachedClientConfig", "rmcc", _NO_CACHE),
    Absent("getMemcachedClientConfig", "gmcc", _NO_CACHE),
    Absent("syncGal", "syg", _NO_GAL),
    Absent("resetAllLoggers", "rlog", _NO_LOGGERS),
    Absent("unlockMailbox", "ulm", "mailboxes are not moved between servers"),
    Absent("createHABOrgUnit", "chou", _NO_HAB),
    Absent("listHABOrgUnit", "lhou", _NO_HAB),
    Absent("renameHABOrgUnit", "rhou", _NO_HAB),
    Absent("deleteHABOrgUnit", "dhou", _NO_HAB),
    Absent("createHABGroup", "chg", _NO_HAB),
    Absent("getHAB", "ghab", _NO_HAB),
    Absent("moveHABGroup", "mhg", _NO_HAB),
    Absent("addHABGroupMember", "ahgm", _NO_HAB),
    Absent("removeHABGroupMember", "rhgm", _NO_HAB),
    Absent("deleteHABGroup", "dhg", _NO_HAB),
    Absent("modifyHABGroupSeniority", "mhgs", _NO_HAB),
    Absent("getHABGroupMembers", "ghgm", _NO_HAB),
)

BY_NAME: Final[Mapping[str, Absent]] = MappingProxyType({name.lower(): one for one in ABSENT for name in (one.name, one.short)})
