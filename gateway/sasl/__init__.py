"""SASL mechanisms (RFC 4422) as exchanges of octets: what is asked, what is answered, what it claims to prove; no I/O."""
