"""Dynamic lists, for administrators: groups whose members are whom an attribute filter means."""

from gateway.directory import names
from gateway.directory.accounts import free
from gateway.directory.authority import Matter
from gateway.directory.faults import Code, Fault
from gateway.directory.mailing_lists import ListChanges, grantees_of, owners_of
from gateway.directory.people import wanted_filter
from gateway.directory.records import Records
from policy.filters import spell
from policy.identity import ListId
from policy.roles import Operation
from store import dynamic, lists
from store.errors import Conflict, LimitReached, NotFound
from store.port import Store


class DynamicGroups:
    """Every method raises Fault, and nothing else that is expected. What can be done to any list is done by MailingLists."""

    def __init__(self, store: Store, records: Records) -> None:
        self._store = store
        self._records = records

    async def create(self, name: str, text: str, changes: ListChanges) -> ListId:
        """With everybody in its domain whom the filter means, now and from now on."""
        address = names.new_address(name)
        wanted = spell(wanted_filter(text))
        async with self._store.snapshot() as snapshot:
            owners = await owners_of(snapshot, changes.owners or ())
            matter = Matter(Operation.MANAGE_DYNAMIC_LIST, made=(address,), grantees=grantees_of(owners))
            await self._records.allow(snapshot, matter, str(address))
            await free(snapshot, address, Code.DISTRIBUTION_LIST_EXISTS)
        made = lists.CreateList(address, changes.display_name or "", changes.note or "", owners, changes.attributes)
        try:
            lists.check_dynamic(changes.attributes)
        except Conflict as error:
            raise Fault(Code.INVALID_REQUEST, error) from None
        words = {
            Conflict: Fault(Code.DISTRIBUTION_LIST_EXISTS, name),
            NotFound: Fault(Code.NO_SUCH_DOMAIN, names.shown_domain(address.domain)),
            LimitReached: Fault(Code.INVALID_REQUEST, f"there are at most {dynamic.MOST} dynamic lists"),
        }
        deed = dynamic.CreateDynamicList(made, wanted)
        return await self._records.do(deed, "dynamic list created", str(address), matter=matter, detail=wanted, words=words)
