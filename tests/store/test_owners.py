from store.owners import Owners


def test_what_was_found_is_known_and_nothing_else() -> None:
    owners = Owners()
    owners.remember(5, 7)
    assert (owners.of(5), owners.of(6)) == (7, None)


def test_there_is_an_end_to_what_is_remembered() -> None:
    owners = Owners(most=3)
    for folder in range(100):
        owners.remember(folder, folder + 1000)
        assert owners.of(folder) == folder + 1000
    assert sum(owners.of(folder) is not None for folder in range(100)) <= 3
