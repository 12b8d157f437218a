from store.criteria import MAX_DEPTH, MAX_LEAVES, All, And, Criterion, Not, Or, measure


def test_depth_and_leaves_are_counted() -> None:
    assert measure(All()) == (1, 1)
    assert measure(And((All(), Or((All(), Not(All())))))) == (4, 3)
    assert measure(And(())) == (1, 1)


def test_a_tower_of_a_million_is_measured_without_recursion() -> None:
    tower: Criterion = All()
    for _ in range(1_000_000):
        tower = Not(tower)
    assert measure(tower)[0] > MAX_DEPTH
    # Python takes nested objects apart by recursion where it is let: undo the tower by hand.
    while isinstance(tower, Not):
        tower = tower.part


def test_counting_stops_soon_past_the_limit() -> None:
    assert measure(And((All(),) * 1_000_000))[1] > MAX_LEAVES
