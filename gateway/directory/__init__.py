"""Domains, classes of service, accounts, lists, grants, mailboxes: what administrators do, whichever door they come by."""
