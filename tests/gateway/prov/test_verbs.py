"""Every verb as an administrator types it: what it prints, what it refuses, what it leaves."""

import json
import re

import pytest

from gateway.prov.verbs import MAILBOX_VERBS, VERBS, overview
from tests.gateway.administration import Office

# Each dialogue is run from an empty store. A line with $ is typed; what follows is printed, exactly, but … stands for anything
# within a line. ! is an error, = N its exit status (1 unless it says so).
DIALOGUES = {
    "domains": """
        $ createDomain acme.test
        …
        $ cd bücher.test note "books, mostly"
        …
        $ cd acme.test
        ! account.DOMAIN_EXISTS (domain already exists: acme.test)
        $ cd nodot
        ! service.INVALID_REQUEST (invalid request: must be a valid domain name: nodot (it has no dot))
        $ initDomainForDelegation acme.test
        $ idd acme.test
        $ createAliasDomain acme.example acme.test
        …
        $ cad other.test nowhere.test
        ! account.NO_SUCH_DOMAIN (no such domain: nowhere.test)
        $ cad second.test acme.example
        ! service.INVALID_REQUEST (invalid request: acme.example is an alias domain itself)
        $ getAllDomains
        acme.example
        acme.test
        bücher.test
        $ gd acme.test
        # name acme.test
        accounts: 0
        aliasDomain: acme.example
        created: …
        delegationInitialised: …
        delimiter: +
        id: …
        maxAccounts: 0
        maxQuota: 0
        status: active

        $ gd BÜCHER.test note
        # name bücher.test
        note: books, mostly

        $ modifyDomain acme.test zimbraDomainStatus suspended cos default maxAccounts 2
        $ GETDomain acme.test status cos maxAccounts
        # name acme.test
        status: suspended
        cos: default
        maxAccounts: 2

        $ md acme.test status pending
        ! account.INVALID_ATTR_VALUE (invalid attr value: status - pending (must be one of active, locked, maintenance, suspended, closed))
        $ md acme.example status closed
        ! service.INVALID_REQUEST (invalid request: acme.example is an alias domain: it has a note and nothing else)
        $ deleteDomain acme.test
        ! account.DOMAIN_NOT_EMPTY (domain not empty: acme.test)
        $ dd acme.example
        $ dd acme.test
        $ dd acme.test
        ! account.NO_SUCH_DOMAIN (no such domain: acme.test)
        $ md bücher.test
        ! =2 usage: modifyDomain (md) NAME attr value [attr value ...]
        $ gad -v
        # name bücher.test
        accounts: 0
        created: …
        delimiter: +
        id: …
        maxAccounts: 0
        maxQuota: 0
        note: books, mostly
        status: active

    """,
    "classes of service": """
        $ createCos staff quota 2g lockoutMaxFailures 5 note "people"
        …
        $ cc staff
        ! account.COS_EXISTS (cos already exists: staff)
        $ cc other quota much
        ! account.INVALID_ATTR_VALUE (invalid attr value: quota - much (must be a size in octets: 1048576, 512k, 100m or 2g))
        $ getAllCos
        default
        staff
        $ getCos staff zimbraMailQuota lockoutMaxFailures note
        # name staff
        zimbraMailQuota: 2g
        lockoutMaxFailures: 5
        note: people

        $ modifyCos staff quota '' lockoutEnabled no
        $ gc staff quota lockoutEnabled
        # name staff
        quota: 0
        lockoutEnabled: FALSE

        $ renameCos staff people
        $ rc default other
        ! service.INVALID_REQUEST (invalid request: the class of service default keeps its name)
        $ gac
        default
        people
        $ cd acme.test cos people
        …
        $ dc people
        ! account.COS_IN_USE (cos is in use by accounts or domains: people)
        $ md acme.test cos ''
        $ deleteCos people
        $ dc people
        ! account.NO_SUCH_COS (no such cos: people)
        $ mc nobody quota 1
        ! account.NO_SUCH_COS (no such cos: nobody)
    """,
    "accounts": """
        $ cd acme.test
        …
        $ cc staff quota 5m
        …
        $ createAccount anna@acme.test secret displayName "Anna Owner" quota 1g
        …
        $ ca ANNA@acme.test sixsix
        ! account.ACCOUNT_EXISTS (email address already exists: anna@acme.test)
        $ ca bob@nowhere.test sixsix
        ! account.NO_SUCH_DOMAIN (no such domain: nowhere.test)
        $ ca "no address" x
        ! service.INVALID_REQUEST (invalid request: must be a valid email address: no address (an address needs an @))
        $ ca bob@acme.test '' status pending zimbraPasswordMustChange TRUE
        …
        $ getAllAccounts
        anna@acme.test
        bob@acme.test
        $ gaa acme.test
        anna@acme.test
        bob@acme.test
        $ gaa nowhere.test
        ! account.NO_SUCH_DOMAIN (no such domain: nowhere.test)
        $ getAccount anna@acme.test
        # name anna@acme.test
        allowAnyFrom: FALSE
        allowResend: FALSE
        cos: default
        created: …
        delegatedSendRate: 0
        delegatedSendRecipientRate: 0
        delegatedSent: owner
        delegatedTrash: actor
        delegationDigest: weekly
        delegationWhenLocked: none
        displayName: Anna Owner
        grantWarnBefore: 604800
        id: …
        isDelegatedAdminAccount: FALSE
        isGlobalAdministrator: FALSE
        lockoutDuration: 3600
        lockoutEnabled: TRUE
        lockoutFailureLifetime: 3600
        lockoutMaxFailures: 10
        lockoutSpareKnownSources: TRUE
        mail: anna@acme.test
        mustChangePassword: FALSE
        passwordBlockCommonEnabled: FALSE
        passwordEnforceHistory: 0
        passwordMaxAge: 0
        passwordMinAge: 0
        passwordMinDigitsOrPuncs: 0
        passwordMinLength: 6
        passwordMinLowerCaseChars: 0
        passwordMinNumericChars: 0
        passwordMinPunctuationChars: 0
        passwordMinUpperCaseChars: 0
        quota: 1g
        quotaWarnInterval: 86400
        quotaWarnPercent: 90
        sendRate: 0
        sendRecipientRate: 0
        status: active
        totpRequired: FALSE
        unauthorisedFrom: refuse
        undoWindow: 0
        used: 0

        $ setAccountCos anna@acme.test staff
        $ ga -e anna@acme.test quota cos delegatedSent
        # name anna@acme.test
        quota: 1g
        cos: staff
        # delegatedSent: owner (default)

        $ modifyAccount anna@acme.test quota '' delegatedSent BOTH displayName ''
        $ ga -e anna@acme.test zimbraMailQuota zimbraPrefDelegatedSendSaveTarget displayName
        # name anna@acme.test
        # zimbraMailQuota: 5m (class of service staff)
        zimbraPrefDelegatedSendSaveTarget: BOTH

        $ ga anna@acme.test frob
        ! account.INVALID_ATTR_NAME (invalid attr name: frob)
        $ ma anna@acme.test quota 5x
        ! account.INVALID_ATTR_VALUE (invalid attr value: quota - 5x (must be a size in octets: 1048576, 512k, 100m or 2g))
        $ ma anna@acme.test allowFromAddresses bob@acme.test
        ! account.INVALID_ATTR_VALUE (invalid attr value: allowFromAddresses - bob@acme.test (it is an address of bob@acme.test))
        $ ma anna@acme.test +zimbraAllowFromAddress anna@Elsewhere.TEST +zimbraAllowFromAddress a@x.test
        $ ga anna@acme.test allowFromAddresses
        # name anna@acme.test
        allowFromAddresses: anna@elsewhere.test
        allowFromAddresses: a@x.test

        $ addAccountAlias anna@acme.test a@acme.test
        $ aaa bob@acme.test a@acme.test
        ! account.ACCOUNT_EXISTS (email address already exists: a@acme.test)
        $ ma anna@acme.test delegatedSenderAddresses a@acme.test
        $ ma anna@acme.test delegatedSenderAddresses bob@acme.test
        ! account.INVALID_ATTR_VALUE (invalid attr value: delegatedSenderAddresses - bob@acme.test (it is no address of the account))
        $ ga a@acme.test alias
        # name anna@acme.test
        alias: a@acme.test

        $ ga a+tag@acme.test
        ! account.NO_SUCH_ACCOUNT (no such account: a+tag@acme.test)
        $ removeAccountAlias anna@acme.test a@acme.test
        $ raa anna@acme.test a@acme.test
        ! account.NO_SUCH_ALIAS (no such alias: a@acme.test)
        $ renameAccount anna@acme.test ann@acme.test
        $ ra ann@acme.test bob@acme.test
        ! account.ACCOUNT_EXISTS (email address already exists: bob@acme.test)
        $ ga ann@acme.test mail
        # name ann@acme.test
        mail: ann@acme.test

        $ setPassword ann@acme.test better
        $ sp nobody@acme.test better
        ! account.NO_SUCH_ACCOUNT (no such account: nobody@acme.test)
        $ sac ann@acme.test ''
        $ ga -e ann@acme.test cos
        # name ann@acme.test
        # cos: default (the domain's or the default one)

        $ getQuotaUsage
        ann@acme.test 0 0
        bob@acme.test 0 0
        $ gqu acme.test
        ann@acme.test 0 0
        bob@acme.test 0 0
        $ ga bob@acme.test status mustChangePassword
        # name bob@acme.test
        status: pending
        mustChangePassword: TRUE

        $ deleteAccount ann@acme.test
        $ da ann@acme.test
        ! account.NO_SUCH_ACCOUNT (no such account: ann@acme.test)
        $ md acme.test maxAccounts 1
        $ ca carl@acme.test sixsix
        ! account.TOO_MANY_ACCOUNTS (domain has too many accounts: acme.test)
        $ md acme.test status locked
        $ ma bob@acme.test status active
        $ ga bob@acme.test status effectiveStatus
        # name bob@acme.test
        status: active
        effectiveStatus: locked

    """,
    "lists": """
        $ cd acme.test
        …
        $ ca anna@acme.test ''
        …
        $ ca bob@acme.test ''
        …
        $ createDistributionList team@acme.test displayName Team owner anna@acme.test
        …
        $ cdl all@acme.test
        …
        $ cdl anna@acme.test
        ! account.DISTRIBUTION_LIST_EXISTS (email address already exists: anna@acme.test)
        $ getAllDistributionLists
        team@acme.test
        all@acme.test
        $ addDistributionListMember team@acme.test anna@acme.test x@else.where
        $ adlm all@acme.test team@acme.test
        $ adlm team@acme.test team@acme.test
        ! service.INVALID_REQUEST (invalid request: cannot add self as a member: team@acme.test)
        $ adlm nobody@acme.test anna@acme.test
        ! account.NO_SUCH_DISTRIBUTION_LIST (no such distribution list: nobody@acme.test)
        $ getDistributionList team@acme.test
        # distributionList team@acme.test memberCount=2
        created: …
        displayName: Team
        id: …
        mail: team@acme.test
        moderation: none
        owner: anna@acme.test
        postingRestricted: FALSE
        subscriptionPolicy: reject
        unsubscriptionPolicy: reject

        members
        anna@acme.test
        x@else.where

        $ getAccountMembership anna@acme.test
        all@acme.test (via team@acme.test)
        team@acme.test
        $ getDistributionListMembership team@acme.test
        all@acme.test
        $ gdlm all@acme.test
        $ modifyDistributionList team@acme.test +owner bob@acme.test subscriptionPolicy approval displayName ''
        $ gdl team@acme.test owner subscriptionPolicy displayName
        # distributionList team@acme.test memberCount=2
        owner: anna@acme.test
        owner: bob@acme.test
        subscriptionPolicy: approval

        $ mdl team@acme.test owner ghost@acme.test
        ! account.NO_SUCH_ACCOUNT (no such account: ghost@acme.test)
        $ removeDistributionListMember team@acme.test x@else.where
        $ rdlm team@acme.test x@else.where
        ! account.NO_SUCH_MEMBER (no such member: x@else.where)
        $ addDistributionListAlias team@acme.test crew@acme.test
        $ gdl crew@acme.test alias
        # distributionList team@acme.test memberCount=1
        alias: crew@acme.test

        $ removeDistributionListAlias team@acme.test crew@acme.test
        $ rdla team@acme.test crew@acme.test
        ! account.NO_SUCH_ALIAS (no such alias: crew@acme.test)
        $ adla team@acme.test anna@acme.test
        ! account.DISTRIBUTION_LIST_EXISTS (email address already exists: anna@acme.test)
        $ renameDistributionList team@acme.test squad@acme.test
        $ gadl
        squad@acme.test
        all@acme.test
        $ rdl all@acme.test squad@acme.test
        ! account.DISTRIBUTION_LIST_EXISTS (email address already exists: squad@acme.test)
        $ gadl -v acme.test
        # distributionList squad@acme.test memberCount=1
        created: …
        id: …
        mail: squad@acme.test
        moderation: none
        owner: anna@acme.test
        owner: bob@acme.test
        postingRestricted: FALSE
        subscriptionPolicy: approval
        unsubscriptionPolicy: reject

        members
        anna@acme.test

        # distributionList all@acme.test memberCount=1
        created: …
        id: …
        mail: all@acme.test
        moderation: none
        postingRestricted: FALSE
        subscriptionPolicy: reject
        unsubscriptionPolicy: reject

        members
        squad@acme.test

        $ gam bob@acme.test
        $ deleteDistributionList squad@acme.test
        $ ddl squad@acme.test
        ! account.NO_SUCH_DISTRIBUTION_LIST (no such distribution list: squad@acme.test)
        $ gam anna@acme.test
        $ cdl staff@acme.test
        …
        $ grantRight dl all@acme.test grp staff@acme.test sendToDistList
        $ gdl all@acme.test postingRestricted
        # distributionList all@acme.test memberCount=0
        postingRestricted: FALSE

        $ ddl staff@acme.test
        $ gdl all@acme.test postingRestricted
        # distributionList all@acme.test memberCount=0
        postingRestricted: TRUE

        $ checkRight dl all@acme.test anna@acme.test sendToDistList
        DENIED
        Via:
            missing      : no sendToDistList grant counts for the actor, its groups, class of service or domain

        $ mdl all@acme.test postingRestricted FALSE
        $ checkRight dl all@acme.test anna@acme.test sendToDistList
        ALLOWED
        Via:
            because      : nobody was granted sendToDistList on this list: everybody may post

    """,
    "people": """
        $ cd acme.test
        …
        $ createAccount @acme.test '' givenName Ada initials K sn Lovelace department Sales telephoneNumber "+44 20 1"
        … a.lovelace@acme.test
        $ ca @acme.test '' givenName Ada initials K sn Lovelace displayName "The other one"
        … ada.lovelace@acme.test
        $ ca @acme.test '' department Sales
        ! service.INVALID_REQUEST (invalid request: no name can be proposed: givenName, initials and sn have no Latin spelling)
        $ ca @nowhere.test '' sn Lovelace
        ! account.NO_SUCH_DOMAIN (no such domain: nowhere.test)
        $ ga a.lovelace@acme.test givenName INITIALS surname displayName departmentNumber telephoneNumber title
        # name a.lovelace@acme.test
        givenName: Ada
        INITIALS: K
        surname: Lovelace
        displayName: Ada Lovelace
        departmentNumber: Sales
        telephoneNumber: +44 20 1

        $ ma a.lovelace@acme.test title Countess department "" l London
        $ ga a.lovelace@acme.test title department city
        # name a.lovelace@acme.test
        title: Countess
        city: London

        $ ma a.lovelace@acme.test sn "a	b" note changed
        ! account.INVALID_ATTR_VALUE (invalid attr value: sn is text of at most 256 characters without control characters)
        $ ga a.lovelace@acme.test note
        # name a.lovelace@acme.test

        $ searchAccounts (title=count*)
        a.lovelace@acme.test
        $ sa "(sn=lovelace)" limit 1 offset 1 domain acme.test
        ada.lovelace@acme.test
        $ sa "(&(objectClass=zimbraAccount)(!(title=*)))"
        ada.lovelace@acme.test
        $ sa (sn=
        ! service.INVALID_REQUEST (invalid request: no filter: sn is compared with nothing; sn=* asks whether it is there)
        $ sa (userPassword=*)
        ! service.INVALID_REQUEST (invalid request: no filter: no attribute to filter by: userPassword)
        $ sa (sn=x) limit
        ! =2 a filter, then limit N, offset N or domain DOMAIN
        $ sa (sn=x) domain nowhere.test
        ! account.NO_SUCH_DOMAIN (no such domain: nowhere.test)
        $ countAccount acme.test
        cos name             cos id   # of accounts
        -------------------- -------- -------------
        default              1        2

        total: 2
        $ cta nowhere.test
        ! account.NO_SUCH_DOMAIN (no such domain: nowhere.test)
        $ da ada.lovelace@acme.test
        $ da ada.lovelace@acme.test
        ! account.NO_SUCH_ACCOUNT (no such account: ada.lovelace@acme.test)
        $ da --if-exists ada.lovelace@acme.test
    """,
    "dynamic lists": """
        $ cd acme.test
        …
        $ cd other.test
        …
        $ ca anna@acme.test '' department Sales
        …
        $ ca bob@acme.test '' department Support
        …
        $ ca otto@other.test '' department Sales
        …
        $ createDynamicDistributionList sales@acme.test (department=SALES) displayName "All of sales"
        …
        $ cddl active@acme.test memberURL "ldap:///??sub?(&(objectClass=zimbraAccount)(zimbraAccountStatus=active))" zimbraIsACLGroup TRUE
        …
        $ gdl sales@acme.test
        # distributionList sales@acme.test memberCount=1
        created: …
        displayName: All of sales
        filter: (department=sales)
        id: …
        mail: sales@acme.test
        moderation: none
        postingRestricted: FALSE
        subscriptionPolicy: reject
        unsubscriptionPolicy: reject

        members
        anna@acme.test

        $ ma bob@acme.test department sales
        $ gam bob@acme.test
        active@acme.test
        sales@acme.test
        $ ma anna@acme.test status locked
        $ gam anna@acme.test
        sales@acme.test
        $ mdl sales@acme.test filter (&(department=sales)(status=active)) displayName "Working in sales"
        $ gdl sales@acme.test filter displayName
        # distributionList sales@acme.test memberCount=1
        filter: (&(department=sales)(status=active))
        displayName: Working in sales

        $ mdl sales@acme.test filter (department=sales displayName "not this"
        ! service.INVALID_REQUEST (invalid request: no filter: ) is missing at character 18)
        $ gdl sales@acme.test displayName
        # distributionList sales@acme.test memberCount=1
        displayName: Working in sales

        $ adlm sales@acme.test anna@acme.test
        ! service.INVALID_REQUEST (invalid request: the members of a dynamic list are those whom its filter means)
        $ rdlm sales@acme.test bob@acme.test
        ! service.INVALID_REQUEST (invalid request: the members of a dynamic list are those whom its filter means)
        $ mdl sales@acme.test subscriptionPolicy accept
        ! service.INVALID_REQUEST (invalid request: nobody joins or leaves a dynamic list: its members are those whom its filter means)
        $ cdl all@acme.test
        …
        $ adlm all@acme.test sales@acme.test active@acme.test
        $ gam bob@acme.test
        active@acme.test
        all@acme.test (via sales@acme.test)
        sales@acme.test
        $ mdl all@acme.test filter (uid=*)
        ! service.INVALID_REQUEST (invalid request: the list is not dynamic: its members are put in and taken out)
        $ cdl more@acme.test filter (uid=*)
        ! service.INVALID_REQUEST (invalid request: createDynamicDistributionList makes a list with a filter)
        $ cddl more@acme.test
        ! =2 usage: createDynamicDistributionList (cddl) LIST FILTER [attr value ...]
        $ cddl more@acme.test displayName Without
        ! =2 a filter
        $ cddl more@acme.test (uid=*) subscriptionPolicy accept
        ! service.INVALID_REQUEST (invalid request: nobody joins or leaves a dynamic list: its members are those whom its filter means)
        $ cddl anna@acme.test (uid=*)
        ! account.DISTRIBUTION_LIST_EXISTS (email address already exists: anna@acme.test)
        $ cddl more@acme.test (nosuch=1)
        ! service.INVALID_REQUEST (invalid request: no filter: no attribute to filter by: nosuch)
        $ gadl other.test
        $ ra bob@acme.test bob@other.test
        $ gam bob@other.test
        $ ddl sales@acme.test
    """,
    "limits": """
        $ cd acme.test maxAccounts 1
        …
        $ cd other.test
        …
        $ cc staff quota 2g
        …
        $ copyCos staff people
        …
        $ cpc staff people
        ! account.COS_EXISTS (cos already exists: people)
        $ cpc nowhere other
        ! account.NO_SUCH_COS (no such cos: nowhere)
        $ gc people quota
        # name people
        quota: 2g

        $ md acme.test zimbraDomainDefaultCOSId staff
        $ ca anna@acme.test ''
        …
        $ ga anna@acme.test cos quota
        # name anna@acme.test
        cos: staff
        quota: 2g

        $ ga -e anna@acme.test cos quota
        # name anna@acme.test
        # cos: staff (the domain's or the default one)
        # quota: 2g (class of service staff)

        $ ma anna@acme.test quota 5g cos people
        $ ga -e anna@acme.test cos quota
        # name anna@acme.test
        cos: people
        quota: 5g

        $ ma anna@acme.test quota '' cos ''
        $ ga -e anna@acme.test cos quota
        # name anna@acme.test
        # cos: staff (the domain's or the default one)
        # quota: 2g (class of service staff)

        $ ca bob@acme.test ''
        ! account.TOO_MANY_ACCOUNTS (domain has too many accounts: acme.test)
        $ ca bob@other.test ''
        …
        $ ra bob@other.test bob@acme.test
        ! account.TOO_MANY_ACCOUNTS (domain has too many accounts: acme.test)
        $ ca @acme.test '' sn Lovelace
        ! account.TOO_MANY_ACCOUNTS (domain has too many accounts: acme.test)
        $ dc staff
        ! account.COS_IN_USE (cos is in use by accounts or domains: staff)
        $ md acme.test cos ''
        $ dc staff
        $ dc staff
        ! account.NO_SUCH_COS (no such cos: staff)
    """,
    "room of a domain": """
        $ cc staff
        …
        $ cd acme.test zimbraMailDomainQuota 1m zimbraDomainAggregateQuota 2g zimbraDomainAggregateQuotaWarnEmailRecipient boss@acme.test
        …
        $ gd acme.test maxQuota zimbraDomainAggregateQuota aggregateQuotaPolicy aggregateQuotaWarnPercent aggregateQuotaUsed
        # name acme.test
        maxQuota: 1048576
        zimbraDomainAggregateQuota: 2147483648
        aggregateQuotaPolicy: ALLOWSENDRECEIVE
        aggregateQuotaWarnPercent: 80
        aggregateQuotaUsed: 0

        $ ca anna@acme.test '' quota 2m
        ! account.INVALID_ATTR_VALUE (invalid attr value: quota - 2m (must be at most 1048576: maxQuota of the domain))
        $ ca anna@acme.test '' quota 1m
        …
        $ ca bob@acme.test ''
        …
        $ ma bob@acme.test quota 2m
        ! account.INVALID_ATTR_VALUE (invalid attr value: quota - 2m (must be at most 1048576: maxQuota of the domain))
        $ ma bob@acme.test quota 0
        $ ga -e bob@acme.test quota effectiveQuota
        # name bob@acme.test
        quota: 0
        # effectiveQuota: 1048576 (maxQuota of the domain)

        $ gqu acme.test
        anna@acme.test 1048576 0
        bob@acme.test 1048576 0
        $ md acme.test maxQuota 512k
        $ gqu
        anna@acme.test 524288 0
        bob@acme.test 524288 0
        $ md acme.test maxQuota ''
        $ gqu
        anna@acme.test 1048576 0
        bob@acme.test 0 0
        $ md acme.test aggregateQuotaWarnEmailRecipient nobody
        ! account.INVALID_ATTR_VALUE (invalid attr value: aggregateQuotaWarnEmailRecipient - nobody (must be at most 10 addresses))
        $ md acme.test aggregateQuotaWarnPercent 101
        ! account.INVALID_ATTR_VALUE (invalid attr value: aggregateQuotaWarnPercent - 101 (must be a number from 0 to 100))
        $ md acme.test zimbraDomainCOSMaxAccounts staff:1 cosMaxAccounts default:2
        $ gd acme.test cosMaxAccounts
        # name acme.test
        cosMaxAccounts: default:2
        cosMaxAccounts: staff:1

        $ md acme.test cosMaxAccounts staff
        ! account.INVALID_ATTR_VALUE (invalid attr value: cosMaxAccounts - staff (must be CLASS:NUMBER))
        $ md acme.test cosMaxAccounts people:1
        ! account.NO_SUCH_COS (no such cos: people)
        $ ca carl@acme.test ''
        ! account.TOO_MANY_ACCOUNTS (domain has too many accounts: acme.test)
        $ sac bob@acme.test staff
        $ sac anna@acme.test staff
        ! service.INVALID_REQUEST (invalid request: the domain may have 1 accounts of this class of service)
        $ sac bob@acme.test staff
        $ ca carl@acme.test ''
        …
        $ ca dora@acme.test '' cos staff
        ! account.TOO_MANY_ACCOUNTS (domain has too many accounts: acme.test)
        $ md acme.test -cosMaxAccounts staff:1
        $ ca dora@acme.test '' cos staff
        …
        $ md acme.test cosMaxAccounts ''
        $ gd acme.test cosMaxAccounts
        # name acme.test

    """,
    "as administrators of Carbonio type": """
        $ cd acme.test
        …
        $ ca anna@acme.test '' passwordMinLength 8 isGlobalAdministrator TRUE
        …
        $ ca bob@acme.test '' isDelegatedAdminAccount TRUE
        …
        $ ca carl@acme.test ''
        …
        $ getAllAdminAccounts
        anna@acme.test
        bob@acme.test
        $ gaaa -x
        ! =2 -v or -e
        $ checkPasswordStrength anna@acme.test 'correct horse 7'
        Password passed strength check.
        $ cps anna@acme.test short
        ! account.INVALID_PASSWORD (invalid password: too short: passwordMinLength asks for 8 characters)
        $ cps nobody@acme.test x
        ! account.NO_SUCH_ACCOUNT (no such account: nobody@acme.test)
        $ gaa -e
        ! =2 -e goes with -v
        $ createSignature anna@acme.test x
        ! =2 usage: there is no createSignature (csig) here: mail clients keep them; grantRight sendAs says who may write as whom
        $ GMI anna@acme.test
        ! =2 usage: there is no getMailboxInfo (gmi) here: getAccount NAME id used
        $ getAcount anna@acme.test
        ! =2 usage: there is no verb getAcount; did you mean getAccount? (procura prov --help lists them)
    """,
    "renaming a domain": """
        $ cd acme.test
        …
        $ cad acme.example acme.test
        …
        $ cd other.test
        …
        $ ca anna@acme.test '' department sales
        …
        $ aaa anna@acme.test ann@acme.test
        $ ca bob@other.test ''
        …
        $ ma anna@acme.test delegatedSenderAddresses ann@acme.test
        $ cdl team@acme.test
        …
        $ adlm team@acme.test anna@acme.test bob@other.test
        $ cddl staff@acme.test (&(domain=acme.test)(mail=*@acme.test))
        …
        $ grr account anna@acme.test dom acme.test sendAs
        $ renameDomain acme.test other.test
        ! account.DOMAIN_EXISTS (domain already exists: other.test)
        $ rd nowhere.test new.test
        ! account.NO_SUCH_DOMAIN (no such domain: nowhere.test)
        $ rd acme.test
        ! =2 usage: renameDomain (rd) NAME NEW-NAME [--keep-alias]
        $ rd acme.test new.test
        $ gaa new.test
        anna@new.test
        $ ga anna@acme.test
        ! account.NO_SUCH_ACCOUNT (no such account: anna@acme.test)
        $ ga anna@acme.example alias delegatedSenderAddresses
        # name anna@new.test
        alias: ann@new.test
        delegatedSenderAddresses: ann@new.test

        $ gdl staff@new.test filter
        # distributionList staff@new.test memberCount=1
        filter: (&(domain=new.test)(mail=*@new.test))

        $ gam anna@new.test
        staff@new.test
        team@new.test
        $ rd new.test acme.example --keep-alias
        $ gad
        acme.example
        new.test
        other.test
        $ ga anna@new.test mail
        # name anna@acme.example
        mail: anna@acme.example

        $ rd new.test newer.test
        $ ga anna@newer.test mail
        # name anna@acme.example
        mail: anna@acme.example

    """,
    "rights": """
        $ cd acme.test
        …
        $ ca owner@acme.test ''
        …
        $ ca delegate@acme.test ''
        …
        $ ca other@acme.test ''
        …
        $ cdl team@acme.test
        …
        $ cdl inner@acme.test
        …
        $ adlm team@acme.test inner@acme.test
        $ adlm inner@acme.test delegate@acme.test
        $ grr account owner@acme.test usr delegate@acme.test sendAs
        $ ckr account owner@acme.test delegate@acme.test sendAs
        ALLOWED
        Via:
            target type  : account
            target       : owner@acme.test
            grantee type : usr
            grantee      : delegate@acme.test
            right        : sendAs

        $ checkRight account owner@acme.test usr delegate@acme.test sendas
        ALLOWED
        Via:
            target type  : account
            target       : owner@acme.test
            grantee type : usr
            grantee      : delegate@acme.test
            right        : sendAs

        $ ckr account owner@acme.test delegate@acme.test sendOnBehalfOf
        DENIED
        Via:
            missing      : no sendOnBehalfOf grant counts for the actor, its groups, class of service or domain

        $ grr account owner@acme.test grp team@acme.test sendOnBehalfOf
        $ ckr account owner@acme.test delegate@acme.test sendOnBehalfOf
        ALLOWED
        Via:
            target type  : account
            target       : owner@acme.test
            grantee type : grp
            grantee      : team@acme.test
            right        : sendOnBehalfOf
            group path   : inner@acme.test in team@acme.test

        $ grr account owner@acme.test usr delegate@acme.test -sendOnBehalfOf
        $ ckr account owner@acme.test delegate@acme.test sendOnBehalfOf
        DENIED
        Via:
            target type  : account
            target       : owner@acme.test
            grantee type : usr
            grantee      : delegate@acme.test
            right        : DENY sendOnBehalfOf

        $ getGrants -t account owner@acme.test
        target type   target id   target name                     grantee type  grantee id  grantee name                    right
        ------------  …  --------------------
        account       …           owner@acme.test                 usr           …           delegate@acme.test              sendAs
        account       …           owner@acme.test                 usr           …           delegate@acme.test              -sendOnBehalfOf
        account       …           owner@acme.test                 grp           …           team@acme.test                  sendOnBehalfOf

        $ gg -g usr delegate@acme.test 0
        target type   target id   target name                     grantee type  grantee id  grantee name                    right
        ------------  …  --------------------
        account       …           owner@acme.test                 usr           …           delegate@acme.test              sendAs
        account       …           owner@acme.test                 usr           …           delegate@acme.test              -sendOnBehalfOf

        $ gg -t account owner@acme.test -g grp team@acme.test
        target type   target id   target name                     grantee type  grantee id  grantee name                    right
        ------------  …  --------------------
        account       …           owner@acme.test                 grp           …           team@acme.test                  sendOnBehalfOf

        $ rvr account owner@acme.test usr delegate@acme.test sendOnBehalfOf
        ! account.NO_SUCH_GRANT (no such grant: sendOnBehalfOf on owner@acme.test for account delegate@acme.test)
        $ revokeRight account owner@acme.test usr delegate@acme.test -sendOnBehalfOf
        $ ckr account owner@acme.test other@acme.test sendAs
        DENIED
        Via:
            missing      : no sendAs grant counts for the actor, its groups, class of service or domain

        $ grantRight account owner@acme.test dom acme.test sendAs --until 1d
        $ grr account owner@acme.test cos default sendAs --from 1d --note later
        $ grr account owner@acme.test all loginAs
        $ grr dl team@acme.test usr other@acme.test sendAsDistList
        $ grr dl team@acme.test usr other@acme.test sendOnBehalfOfDistList
        $ grr dl team@acme.test usr other@acme.test sendToDistList
        $ ckr dl team@acme.test other@acme.test sendAs
        ALLOWED
        Via:
            target type  : dl
            target       : team@acme.test
            grantee type : usr
            grantee      : other@acme.test
            right        : sendAs

        $ ckr dl team@acme.test delegate@acme.test sendToDistList
        DENIED
        Via:
            missing      : no sendToDistList grant counts for the actor, its groups, class of service or domain

        $ rvr account owner@acme.test all loginAs
        $ grr account owner@acme.test usr owner@acme.test sendAs
        ! service.INVALID_REQUEST (invalid request: owner@acme.test needs no grant on itself)
        $ grr account owner@acme.test usr ghost@acme.test sendAs
        ! account.NO_SUCH_ACCOUNT (no such account: ghost@acme.test)
        $ grr account owner@acme.test grp other@acme.test sendAs
        ! account.NO_SUCH_DISTRIBUTION_LIST (no such distribution list: other@acme.test)
        $ grr account ghost@acme.test usr owner@acme.test sendAs
        ! account.NO_SUCH_ACCOUNT (no such account: ghost@acme.test)
        $ grr account owner@acme.test usr delegate@acme.test sendToDistList
        ! service.INVALID_REQUEST (invalid request: sendToDistList is granted on a dl, not on an account)
        $ grr account owner@acme.test usr delegate@acme.test sendAs --from 2d --until 1d
        ! service.INVALID_REQUEST (invalid request: the grant would end before it starts)
        $ grr account owner@acme.test usr delegate@acme.test frob
        ! =2 no right frob: sendAs, sendOnBehalfOf, sendToDistList, loginAs
    """,
    "folders": """
        $ cd acme.test
        …
        $ ca owner@acme.test ''
        …
        $ ca delegate@acme.test ''
        …
        $ cdl team@acme.test
        …
        $ adlm team@acme.test delegate@acme.test
        $ selectMailbox owner@acme.test modifyFolderGrant / account delegate@acme.test rwixd
        $ sm owner@acme.test mfg /Sent group team@acme.test r --note "for the team"
        $ sm owner@acme.test mfg /Sent domain acme.test r
        $ sm owner@acme.test mfg /Sent cos default rw
        $ sm owner@acme.test mfg /Sent all r
        $ selectMailbox owner@acme.test getFolderGrant /Sent
        Permissions      Type  Display
        -----------  --------  -------
                  r       all
                 rw       cos  default
                  r    domain  acme.test
                  r     group  team@acme.test (for the team)
              rwixd   account  delegate@acme.test (inherited from /)
        $ sm owner@acme.test mfg /Sent all '' none
        $ sm owner@acme.test mfg /Sent cos default none
        $ sm owner@acme.test mfg /Sent domain acme.test none
        $ sm owner@acme.test mfg /Sent account delegate@acme.test none
        there was no entry for account delegate@acme.test on /Sent
        account delegate@acme.test still has rwixd on /Sent, inherited from /; --block ends that here
        account delegate@acme.test still has r on /Sent as one of group team@acme.test, granted on /Sent
        $ sm owner@acme.test mfg /Sent account delegate@acme.test none --block
        $ sm owner@acme.test gfg /sent
        ! mail.NO_SUCH_FOLDER (no such folder path: /sent)
        $ sm owner@acme.test gfg Sent
        Permissions      Type  Display
        -----------  --------  -------
               none   account  delegate@acme.test
                  r     group  team@acme.test (for the team)
        $ sm delegate@acme.test getAllFolders
                Id  View      Unread   Msg Count  Path
        ----------  ----  ----------  ----------  ----------
        …  mess           0           0  /
        …  mess           0           0  /Archive
        …  appo           0           0  /Calendar
        …  mess           0           0  /Drafts
        …  mess           0           0  /INBOX
        …  mess           0           0  /Junk
        …  mess           0           0  /Sent
        …  mess           0           0  /Trash
        …  mess           0           0  owner@acme.test:/Archive (rwixd)
        …  mess           0           0  owner@acme.test:/Drafts (rwixd)
        …  mess           0           0  owner@acme.test:/INBOX (rwixd)
        …  mess           0           0  owner@acme.test:/Junk (rwixd)
        …  mess           0           0  owner@acme.test:/Sent (r)
        …  mess           0           0  owner@acme.test:/Trash (rwixd)
        $ sm owner@acme.test mfg / account delegate@acme.test none
        $ sm owner@acme.test createFolder /Posta/2026
        …
        $ sm owner@acme.test cf /inbox
        ! mail.ALREADY_EXISTS (object with that name already exists: /inbox)
        $ sm owner@acme.test cf /
        ! mail.INVALID_NAME (invalid name: /)
        $ sm owner@acme.test renameFolder /Posta/2026 2027
        $ sm owner@acme.test rf /Posta/2027 /Old/2027
        $ sm owner@acme.test rf /Nope /Old
        ! mail.NO_SUCH_FOLDER (no such folder path: /Nope)
        $ sm owner@acme.test modifyFolder /Old inherit false seen private
        $ sm owner@acme.test mf /Old seen sometimes
        ! =2 seen is shared or private, not sometimes
        $ sm owner@acme.test deleteFolder /Old/2027
        $ sm owner@acme.test df /Old/2027
        ! mail.NO_SUCH_FOLDER (no such folder path: /Old/2027)
        $ sm owner@acme.test df INBOX
        ! mail.IMMUTABLE_OBJECT (cannot modify immutable object: INBOX)
        $ sm owner@acme.test mfg / account owner@acme.test r
        ! service.INVALID_REQUEST (invalid request: owner@acme.test is the owner and holds every right already)
        $ sm owner@acme.test mfg / account ghost@acme.test r
        ! account.NO_SUCH_ACCOUNT (no such account: ghost@acme.test)
        $ sm owner@acme.test mfg / account delegate@acme.test rq
        ! service.INVALID_REQUEST (invalid request: unknown right 'q': the letters are r, w, i, x, d, a, or none)
        $ sm owner@acme.test mfg /Nope account delegate@acme.test r
        ! mail.NO_SUCH_FOLDER (no such folder path: /Nope)
        $ sm ghost@acme.test gaf
        ! account.NO_SUCH_ACCOUNT (no such account: ghost@acme.test)
        $ sm owner@acme.test mfg / account delegate@acme.test r --block
        ! =2 --block goes with none
        $ sm owner@acme.test mfg / account delegate@acme.test none --until 1d
        ! =2 none carries no time
        $ sm owner@acme.test frob
        ! =2 usage: there is no verb frob (procura prov --help lists them)
    """,
}


def steps(dialogue: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for line in dialogue.strip("\n").split("\n"):
        line = line.removeprefix("        ")
        if line.startswith("$ "):
            found.append((line[2:], ""))
        elif found:
            typed, expected = found[-1]
            found[-1] = (typed, expected + line + "\n")
    typed, expected = found[-1]
    found[-1] = (typed, expected.removesuffix("    \n"))
    return found


def matches(expected: str, found: str) -> bool:
    pattern = "".join(r"[^\n]*" if piece == "…" else re.escape(piece) for piece in re.split("(…)", expected))
    return re.fullmatch(pattern, found) is not None


@pytest.mark.parametrize("topic", DIALOGUES)
async def test_a_dialogue_goes_as_it_is_written(office: Office, topic: str) -> None:
    for typed, expected in steps(DIALOGUES[topic]):
        told = await office.prov(typed)
        if expected.startswith("! "):
            wanted, status = expected[2:].rstrip("\n"), 1
            if wanted.startswith("="):
                status, wanted = int(wanted[1]), wanted[3:]
            said = told.err.removeprefix("ERROR: ")
            assert (told.status, told.out) == (status, ""), typed
            assert said.split("\n")[0] == wanted, typed
        else:
            assert (told.status, told.err) == (0, ""), typed
            assert matches(expected, told.out), f"{typed}\n{told.out}\n--- expected\n{expected}"


def test_every_verb_is_typed_by_its_long_and_its_short_name() -> None:
    typed = [line.lower().split() for dialogue in DIALOGUES.values() for line, _ in steps(dialogue)]
    firsts = {words[0] for words in typed}
    within = {words[2] for words in typed if words[0] in ("sm", "selectmailbox") and len(words) > 2}
    assert VERBS.keys() - firsts == set()
    assert MAILBOX_VERBS.keys() - within == set()


# interface.md section 3, by hand: a verb that is renamed or lost is noticed.
PROMISED = """
    createDomain cd · getDomain gd · getAllDomains gad · modifyDomain md · deleteDomain dd · createAliasDomain cad · createAccount ca ·
    getAccount ga · getAllAccounts gaa · modifyAccount ma · renameAccount ra · deleteAccount da · addAccountAlias aaa ·
    removeAccountAlias raa · setPassword sp · setAccountCos sac · getAccountMembership gam · createCos cc · getCos gc · getAllCos gac ·
    modifyCos mc · deleteCos dc · createDistributionList cdl · getDistributionList gdl · getAllDistributionLists gadl ·
    modifyDistributionList mdl · deleteDistributionList ddl · addDistributionListMember adlm · removeDistributionListMember rdlm ·
    addDistributionListAlias adla · removeDistributionListAlias rdla · getDistributionListMembership gdlm · grantRight grr ·
    revokeRight rvr · checkRight ckr · getGrants gg · getQuotaUsage gqu · selectMailbox sm · modifyFolderGrant mfg · getFolderGrant gfg ·
    getAllFolders gaf · createFolder cf · deleteFolder df · renameFolder rf
"""


def test_the_verbs_that_were_promised_are_there() -> None:
    table = {**VERBS, **MAILBOX_VERBS}
    for row in PROMISED.split("·"):
        long, short = row.split()
        assert (table[long.lower()].name, table[long.lower()].short) == (long, short)
        assert table[short] is table[long.lower()]


def test_the_overview_has_them_all() -> None:
    told = overview()
    assert [verb.name for verb in (*VERBS.values(), *MAILBOX_VERBS.values()) if verb.usage not in told] == []


async def test_help_of_a_verb(office: Office) -> None:
    assert (await office.prov("ga --help")).out.startswith("usage: procura prov getAccount (ga) [-e] NAME")
    assert "modifyFolderGrant (mfg) PATH" in (await office.prov("sm x@y mfg --help")).out
    for verb in ("createAccount", "setPassword"):
        assert "-f -" in (await office.prov(f"{verb} --help")).out, "how to keep a password out of the list of processes"


async def test_an_unknown_verb_is_told_the_nearest(office: Office) -> None:
    told = await office.prov("creteAccount a@b c")
    assert told.status == 2
    assert "did you mean createAccount?" in told.err
    assert "selectMailbox ACCOUNT getFolderGrant" in (await office.prov("gfg /")).err


async def test_json_of_every_verb_that_tells_something(office: Office) -> None:
    async def told(line: str) -> object:
        found = await office.prov(line, as_json=True)
        assert found.status == 0, found.err
        return json.loads(found.out)

    await told("cd acme.test")
    assert await told("ca owner@acme.test sixsix") == {"id": 1, "name": "owner@acme.test"}
    await told("ca delegate@acme.test sixsix")
    await told("cdl team@acme.test")
    assert await told("adlm team@acme.test delegate@acme.test") is None
    assert await told("gad") == ["acme.test"]
    assert await told("gaa") == ["owner@acme.test", "delegate@acme.test"]
    account = await told("ga -e owner@acme.test")
    assert isinstance(account, dict)
    assert account["attributes"]["quota"] == 0
    assert account["attributes"]["lockoutEnabled"] is True
    assert account["attributes"]["status"] == "active"
    assert account["attributes"]["hasPassword"] is True
    assert account["inherited"]["quota"] == "default"
    team = await told("gdl team@acme.test")
    assert isinstance(team, dict)
    assert team["members"] == ["delegate@acme.test"]
    assert await told("gam delegate@acme.test") == [{"id": 3, "name": "team@acme.test", "via": []}]
    await told("sm owner@acme.test mfg / group team@acme.test rw --until 2030-01-01T00:00Z --note n")
    (entry,) = await told("sm owner@acme.test gfg /")  # type: ignore[misc]
    assert entry == {
        "rights": "rw",
        "type": "group",
        "id": 3,
        "name": "team@acme.test",
        "from": None,
        "until": "2030-01-01T00:00:00Z",
        "note": "n",
        "review": None,
        "inheritedFrom": None,
        "inForce": True,
    }
    folders = await told("sm delegate@acme.test gaf")
    assert isinstance(folders, list)
    assert {"owner@acme.test"} == {one["owner"] for one in folders if one["owner"]}
    await told("grr account owner@acme.test grp team@acme.test sendAs")
    found = await told("ckr account owner@acme.test delegate@acme.test sendAs")
    assert isinstance(found, dict)
    assert (found["allowed"], found["granteeType"], found["grantee"], found["groupPath"]) == (
        True,
        "group",
        "team@acme.test",
        ["team@acme.test"],
    )
    (grant,) = await told("gg -t account owner@acme.test")  # type: ignore[misc]
    assert (grant["target"], grant["granteeType"], grant["grantee"], grant["right"]) == (
        "owner@acme.test",
        "grp",
        "team@acme.test",
        "sendAs",
    )
    assert await told("gqu") == [
        {"name": "owner@acme.test", "quota": 0, "used": 0},
        {"name": "delegate@acme.test", "quota": 0, "used": 0},
    ]


async def test_a_grant_that_has_run_out_is_shown_and_does_not_count(office: Office) -> None:
    await office.done(
        "cd acme.test",
        "ca owner@acme.test ''",
        "ca delegate@acme.test ''",
        "sm owner@acme.test mfg / account delegate@acme.test rw --until 1h",
        "grr account owner@acme.test usr delegate@acme.test sendAs --until 1h",
    )
    assert (await office.prov("ckr account owner@acme.test delegate@acme.test sendAs")).out.startswith("ALLOWED")
    office.clock.turn(3600)
    told = (await office.prov("ckr account owner@acme.test delegate@acme.test sendAs")).out
    assert told.startswith("DENIED")
    shown = (await office.prov("sm owner@acme.test gfg /")).out
    assert "(not now)" in shown
    assert "until 2027-" in (await office.prov("gg -t account owner@acme.test")).out
