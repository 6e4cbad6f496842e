"""``majordomo usage dimensions``: what usage can be grouped and filtered by."""

from typing import Any

from majordomo.cli.connection import ask
from majordomo.cli.options import ConfigOption, DataDirOption, JsonOption, read_settings
from majordomo.cli.tables import cell, console, count, moment, print_json, table
from majordomo.cli.usage.options import OrgOption


def dimensions(
    org: OrgOption = None, as_json: JsonOption = False, config: ConfigOption = None, data_dir: DataDirOption = None
) -> None:
    """What usage can be grouped and filtered by: built-in dimensions, then metadata keys."""
    from majordomo.record import users
    from majordomo.report.questions.dimensions import BUILT_IN
    from majordomo.report.questions.known import built_in_values, known

    async def question(connection: Any) -> Any:
        org_id = None if org is None else (await users.find_org(connection, org)).id
        return await known(connection, org_id), await built_in_values(connection, org_id)

    names, values = ask(read_settings(config, data_dir), question)
    if as_json:
        built_in = [
            {"name": name, "description": text, "is_metadata": False, "values": values.get(name)}
            for name, text in BUILT_IN.items()
        ]
        sent = [
            {"name": name, "description": "a metadata key", "is_metadata": True, "is_active": key.is_active,
             "values": key.approx_cardinality, "requests": key.requests, "last_seen_at": key.last_seen_at}
            for name, key in names.metadata.items()
        ]  # fmt: skip
        print_json({"dimensions": [*built_in, *sent]})
        return
    shown = table("Dimension", "What it is", "Values", "Requests", "Last seen (UTC)", numbers=("Values", "Requests"))
    for name, text in BUILT_IN.items():
        shown.add_row(name, text, count(values.get(name)), "", "")
    shown.add_section()
    for name, key in names.metadata.items():
        kind = "a metadata key, active" if key.is_active else "a metadata key"
        shown.add_row(
            cell(name), kind, f"~ {count(key.approx_cardinality)}", count(key.requests), moment(key.last_seen_at)
        )
    console().print(shown)
