import pytest

from store.numbered import Numbered, numbered

TABLE = [
    ("SELECT 1", "SELECT 1", ()),
    ("SELECT a FROM t WHERE a = :a AND b = :b OR c = :a", "SELECT a FROM t WHERE a = $1 AND b = $2 OR c = $1", ("a", "b")),
    ("SELECT ':a', \":b\", :c", "SELECT ':a', \":b\", $1", ("c",)),
    ("SELECT 'it''s :a', :a", "SELECT 'it''s :a', $1", ("a",)),
    ("SELECT :a::BIGINT, x::TEXT", "SELECT $1::BIGINT, x::TEXT", ("a",)),
    ("SELECT :low_1 + :low", "SELECT $1 + $2", ("low_1", "low")),
]


@pytest.mark.parametrize(("statement", "sql", "names"), TABLE)
def test_names_become_numbers(statement: str, sql: str, names: tuple[str, ...]) -> None:
    assert numbered(statement) == Numbered(sql, names)


def test_arguments_come_in_their_order_and_without_nul() -> None:
    statement = numbered("SELECT :b, :a, :b")
    assert statement.arguments({"a": 1, "b": "x\0y", "c": 3}) == ["x\ufffdy", 1]
    with pytest.raises(KeyError):
        statement.arguments({"a": 1})


def test_casts_meet_their_number_only() -> None:
    statement = Numbered("SELECT $1, $10, $1", ())
    assert statement.with_casts({1: "BIGINT"}).sql == "SELECT CAST($1 AS BIGINT), $10, CAST($1 AS BIGINT)"
