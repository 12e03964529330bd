"""The Materials Project by mp-api, with the user's key: which materials fit, then their structures.

mp-api keeps a whole answer in memory and follows what a server says; here it asks for ids first and
for a hundred structures at a time, through a session that neither leaves the server, which would
hand it the key, nor reads without end. Documents stay plain data.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

from featurestore.errors import InvalidInputError, UnknownNameError
from featurestore.failure import Failure
from featurestore.output.terminal import one_line
from ingest.providers.http import LARGEST_ANSWER, PoliteClient, user_agent
from ingest.providers.refusals import ProviderError
from ingest.structures.readers.json_forms import of_document
from ingest.structures.records import MaterialRecord
from ingest.structures.refusals import InvalidStructureError, NoStructureError

#: Environment variables that hold the key; the first that is set counts.
KEYS = ("MP_API_KEY", "PMG_MAPI_KEY")
NAME = "mp"

_KEY_PAGE = "https://materialsproject.org/api"
_AT_ONCE = 100
_IDS_AT_ONCE = 1000
_SECONDS = (15.0, 60.0)  # to connect, between two pieces
_TRIES = 5
_LONGEST_WAIT = 120  # s
_NO_CONDITION = {
    *(
        "self",
        "kwargs",
        "num_chunks",
        "chunk_size",
        "all_fields",
        "fields",
        "_page",
        "_sort_fields",
    ),
}


class MaterialsProject:
    """A connection with the user's key.

    Parameters
    ----------
    endpoint : str, optional
        The server; by default mp-api's.

    Raises
    ------
    InvalidInputError
        If mp-api is not installed, or no key is set.
    ProviderError
        If the server does not say which version of its data it has.
    """

    def __init__(self, endpoint: str | None = None) -> None:
        rester = _rester_class()
        key = _key()
        session = _session(key)
        with _told(key):
            self._rester = rester(
                api_key=key,
                endpoint=endpoint,
                session=session,
                use_document_model=False,
                mute_progress_bars=True,
                timeout=_SECONDS,
            )
        self._key = key

    @property
    def url(self) -> str:
        """The address that is asked."""
        return str(self._rester.endpoint)

    @property
    def database_version(self) -> str:
        """The version of the data, a date."""
        return one_line(str(self._rester.db_version))[:40]

    @property
    def fields(self) -> Sequence[str]:
        """The fields that a material has."""
        return list(self._rester.available_fields)

    def ids(self, conditions: Mapping[str, Any]) -> list[str]:
        """The ids of the materials for which all conditions hold, sorted.

        Raises
        ------
        ProviderError
            If the server refuses the key or the conditions, or gives fewer ids than it counts.
        """
        with _told(self._key):
            found = self._rester.search(
                **conditions, fields=["material_id"], all_fields=False, chunk_size=_IDS_AT_ONCE
            )
        names = {str(one.get("material_id")) for one in found if isinstance(one, Mapping)}
        counted = self._rester.counted
        if isinstance(counted, int) and len(names) < counted:
            raise ProviderError(
                f"{self.url} counts {counted:,} materials for this query and names {len(names):,}; "
                "run the same command again"
            )
        return sorted(names)

    def records(
        self,
        names: Sequence[str],
        columns: Mapping[str, str],
        nearest_order: bool = False,
    ) -> Iterator[MaterialRecord]:
        """One record for each id; whatever is wrong with one is its `Failure`.

        Raises
        ------
        ProviderError
            If the server stops answering.
        """
        for start in range(0, len(names), _AT_ONCE):
            wanted = names[start : start + _AT_ONCE]
            with _told(self._key):
                found = self._rester.search(
                    material_ids=list(wanted),
                    fields=["material_id", "structure", "last_updated", *columns],
                    all_fields=False,
                    chunk_size=_AT_ONCE,
                )
            documents = {
                str(one.get("material_id")): one for one in found if isinstance(one, Mapping)
            }
            for name in wanted:
                yield self._record(name, documents.get(name), columns, nearest_order)

    def _record(
        self,
        name: str,
        document: Mapping[str, Any] | None,
        columns: Mapping[str, str],
        nearest_order: bool,
    ) -> MaterialRecord:
        source = f"{self.url}?material_ids={quote(name)}"
        changed = (document or {}).get("last_updated")
        if isinstance(changed, str) and len(changed) < 40:
            source = f"{source}#last_modified={quote(changed, safe=':+')}"
        try:
            found = None if document is None else of_document(document, nearest_order)
            if document is None or found is None:
                raise NoStructureError("the server gives no structure of it")
        except InvalidStructureError as error:
            return MaterialRecord(material_id(name), Failure.of(error), source_file=source)
        ordered = any(note.startswith("ordered:") for note in found.notes)
        return MaterialRecord(
            material_id=f"{material_id(name)}{'~ordered' if ordered else ''}",
            structure=found.structure,
            targets={prop: document.get(field) for field, prop in columns.items()},
            source_file=source,
            notes=found.notes,
        )


def material_id(name: str) -> str:
    """``mp-149`` of ``mp-149``, ``mp-mvc-1`` of ``mvc-1``."""
    return name if name.startswith(f"{NAME}-") else f"{NAME}-{name}"


def parse_conditions(given: Sequence[str]) -> dict[str, Any]:
    """``["elements=Te,Bi", "band_gap=0.5..2"]`` as arguments of mp-api's summary search.

    Raises
    ------
    InvalidInputError
        If one has another form or its value is not what mp-api takes, or none is given.
    UnknownNameError
        If mp-api knows no such condition.
    """
    known = {
        name: str(parameter.annotation)
        for name, parameter in inspect.signature(_rester_class().search).parameters.items()
        if name not in _NO_CONDITION
    }
    conditions: dict[str, Any] = {}
    for one in given:
        name, equals, text = (part.strip() for part in one.partition("="))
        if not equals or not text:
            raise InvalidInputError(
                f"a condition is given as NAME=VALUE, for example elements=Te or band_gap=0.5..2; "
                f"got {one!r}"
            )
        if name not in known:
            raise UnknownNameError("condition of the Materials Project", name, known)
        if name in conditions:
            raise InvalidInputError(f"the condition {name!r} is given twice")
        conditions[name] = _value(name, text, known[name])
    if not conditions:
        raise InvalidInputError(
            "say which materials are wanted (--where elements=Te); all of them are a download of "
            "its own at https://materialsproject.org"
        )
    return conditions


def _value(name: str, text: str, kind: str) -> Any:
    """By the type that mp-api declares."""
    try:
        if "tuple" in kind:
            low, dots, high = text.partition("..")
            number: Callable[[str], float] = int if "int" in kind else float
            if not dots:
                return (number(low), number(low))
            if not (low or high):
                raise ValueError
            return (number(low) if low else None, number(high) if high else None)
        if "bool" in kind:
            return {"true": True, "false": False}[text.lower()]
        listed = [part.strip() for part in text.split(",")]
        if "int" in kind:
            return [int(part) for part in listed]
        if "Ordering" in kind:
            from pymatgen.analysis.magnetism import Ordering

            return Ordering(text)
        return listed if "list" in kind else text
    except (ValueError, KeyError) as error:
        raise InvalidInputError(
            f"{text!r} is no value of the condition {name!r}, which is {kind}; a range is written "
            "0.5..2, several values Te,Bi"
        ) from error


def _key() -> str:
    key = next((os.environ[name] for name in KEYS if os.environ.get(name)), "").strip()
    if not key:
        raise InvalidInputError(
            f"the Materials Project wants a key: make one at {_KEY_PAGE} and set the environment "
            f"variable {KEYS[0]}; it is sent to its server and kept nowhere"
        )
    if len(key) != 32 or not key.isalnum():
        raise InvalidInputError(
            f"what {KEYS[0]} holds is no key of the present API, which has 32 letters and digits; "
            f"make one at {_KEY_PAGE}"
        )
    return key


@contextmanager
def _told(key: str) -> Iterator[None]:
    """Errors of mp-api and what it builds on as ours, without the key."""
    from mp_api.client.core.exceptions import MPRestError
    from requests.exceptions import RequestException

    try:
        yield
    except (MPRestError, RequestException, ValueError, KeyError, TypeError) as error:
        said = one_line(" ".join(str(error).replace(key, "[hidden]").split()))[:400]
        raise ProviderError(f"the Materials Project: {said}") from None


def _rester_class() -> Any:
    try:
        from mp_api.client.routes.materials.summary import SummaryRester
    except ImportError as error:
        raise InvalidInputError(
            "the Materials Project needs the package mp-api: "
            "pip install 'materials-featurestore[mp]'"
        ) from error

    class Summary(SummaryRester):
        """mp-api's, with a time limit on its first question and the count that it drops."""

        counted: object = None

        @staticmethod
        def _get_heartbeat_info(endpoint: str) -> tuple[str, list[str]]:
            with PoliteClient(pause=0.0) as client:
                answer = client.get_json(f"{endpoint}heartbeat")
            version = answer.get("db_version") if isinstance(answer, dict) else None
            if not isinstance(version, str):
                raise ProviderError(
                    f"{endpoint}heartbeat does not say which version of data it has"
                )
            return version, []

        def _query_resource(self, *arguments: Any, **options: Any) -> dict[str, Any]:
            answer: dict[str, Any] = super()._query_resource(*arguments, **options)
            meta = answer.get("meta")
            self.counted = meta.get("total_doc") if isinstance(meta, dict) else None
            return answer

    return Summary


def _session(key: str) -> Any:
    import requests
    from requests.adapters import HTTPAdapter
    from urllib3.util.retry import Retry

    class Session(requests.Session):
        """Stays on the server, reads within a limit, and says what a refused key means."""

        def request(self, *arguments: Any, **options: Any) -> requests.Response:
            options |= {"allow_redirects": False, "stream": True}
            with super().request(*arguments, **options) as response:
                if response.status_code in (401, 403):
                    raise ProviderError(
                        f"the Materials Project refuses the key in {KEYS[0]} (status "
                        f"{response.status_code}): it has expired or is mistyped; make a new one "
                        f"at {_KEY_PAGE}"
                    )
                if response.is_redirect:
                    raise ProviderError(
                        "the Materials Project's server leads elsewhere; the key is not sent there"
                    )
                parts, size = [], 0
                for part in response.iter_content(1 << 16):
                    parts.append(part)
                    size += len(part)
                    if size > LARGEST_ANSWER:
                        raise ProviderError(
                            f"the Materials Project sends more than {LARGEST_ANSWER:,} bytes"
                        )
                response._content = b"".join(parts)
                return response

    session = Session()
    session.headers.update({"x-api-key": key, "User-Agent": user_agent()})
    retry = Retry(
        total=_TRIES,
        status_forcelist=[429, 500, 502, 503, 504],
        backoff_factor=1.0,
        retry_after_max=_LONGEST_WAIT,
        redirect=0,
        raise_on_redirect=False,
    )
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(max_retries=retry))
    return session
