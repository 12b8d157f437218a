"""What the octets of a message say: octets in, values out, no session and no I/O."""
