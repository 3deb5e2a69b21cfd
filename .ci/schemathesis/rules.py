"""The rules of the API that JSON Schema has no words for.

A request that fits the schema and breaks one of them is rightly a 400 that names the parameter; any other one is a failure.
"""

from datetime import datetime, timezone

import schemathesis
from schemathesis.openapi.checks import RejectedPositiveData


def is_in_future(value, query):
    """An instant that has not come yet; one that Python cannot read (a leap second, the year 0) is not known to be past."""
    try:
        return datetime.fromisoformat(value.upper().replace("Z", "+00:00")) > datetime.now(timezone.utc)
    except ValueError:
        return True


def is_no_order(value, query):
    """A field twice, or a time of the account's own in a question about the past, which has none."""
    fields = [field.removeprefix("-") for field in value.split(",")]
    is_past = "as_of" in query or "known_at" in query
    return len(set(fields)) < len(fields) or is_past and not {"created_at", "updated_at"}.isdisjoint(fields)


RULES = {"as_of": is_in_future, "date": is_in_future, "known_at": is_in_future, "sort": is_no_order}


@schemathesis.hook
def filter_failure(context, failure, case, response):
    if not isinstance(failure, RejectedPositiveData) or response.status_code != 400:
        return True
    name = response.json()["details"]["parameter"]
    return not (name in case.query and name in RULES and RULES[name](str(case.query[name]), case.query))


@schemathesis.hook
def before_call(context, case, kwargs):
    """Takes made-up cursors out of good requests: only an earlier answer to the same query knows its cursor, and beside a wrong one
    nothing else of a request would be tried."""
    if case.meta is not None and case.meta.generation.mode.is_positive and case.query:
        case.query.pop("cursor", None)
