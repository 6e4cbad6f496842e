"""What can be grouped and filtered by: the built-in dimensions and the metadata keys that were sent."""

from usage_book import DIMENSIONS, WHOLE, Book

from majordomo.record import users


def test_every_dimension_is_told_and_can_be_asked_for(book: Book) -> None:
    told = book.ask("dimensions")["dimensions"]
    by_name = {one["name"]: one for one in told}
    assert by_name.keys() == {*DIMENSIONS, "Feature", "User-Id"}
    assert (by_name["Feature"]["is_active"], by_name["User-Id"]["is_active"]) == (True, False)
    assert abs(by_name["User-Id"]["values"] - 40) <= 2
    models = {row["model"] for row in book.rows if row["model"]}
    assert by_name["model"]["values"] == len(models)
    for name in by_name:
        assert book.ask("breakdown", group_by=name, **WHOLE)["total"]["requests"] == len(book.rows)


def test_another_organisations_keys_are_not_told(book: Book) -> None:
    other = book.api.database(lambda connection: users.create_org(connection, "Acme"))
    book.api.sign_in(other.id, "other@example.com")
    assert {one["name"] for one in book.ask("dimensions")["dimensions"]} == set(DIMENSIONS)
    assert "no metadata key was sent yet" in book.get("breakdown", group_by="Feature").json["error"]["message"]
