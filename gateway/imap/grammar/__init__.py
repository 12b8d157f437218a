"""What a command says: its text becomes a frozen dataclass, by functions that bear the names of the RFC's rules."""
