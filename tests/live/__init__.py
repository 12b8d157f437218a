"""The real command, real sockets, independent clients: what a user would see."""
