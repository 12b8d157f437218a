"""Remembers: the directory, the grants, the folders, the messages, the queue. The only room with SQL; knows no protocol."""
