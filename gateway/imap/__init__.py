"""IMAP: connections, grammar, answers."""
