"""The rules of the API that JSON Schema has no words for.

A request that fits the schema and breaks one of them is rightly a 400 that names the parameter; any other one is a failure.
"""

from datetime import datetime, timezone

import schemathesis
from schemathesis.openapi.checks import RejectedPositiveData


def is_in_future(query, name):
    """An instant that has not come yet; one that Python cannot read (a leap second, the year 0) is not known to be past."""
    try:
        return datetime.fromisoformat(query[name].upper().replace("Z", "+00:00")) > datetime.now(timezone.utc)
    except ValueError:
        return True


def names_a_field_twice(query, name):
    fields = [field.removeprefix("-") for field in query[name]]
    return len(set(fields)) < len(fields)


RULES = {
    "as_of": is_in_future,
    "date": is_in_future,
    "sort": names_a_field_twice,
    # Only an earlier answer to the same query knows its cursor.
    "cursor": lambda query, name: True,
    "offset": lambda query, name: "cursor" in query,
}


@schemathesis.hook
def filter_failure(context, failure, case, response):
    if not isinstance(failure, RejectedPositiveData) or response.status_code != 400:
        return True
    name = response.json()["details"]["parameter"]
    return not (name in case.query and name in RULES and RULES[name](case.query, name))
