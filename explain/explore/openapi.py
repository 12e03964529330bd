"""The description of the HTTP interface, as OpenAPI 3.1."""

from __future__ import annotations

from importlib import metadata
from typing import Any

from explain.explore.api import ENDPOINTS, Endpoint, Parameter
from explain.explore.forms import LINEAGE
from explain.explore.replies import MEDIA_TYPES

_ERRORS = {
    "400": "What was asked cannot be read or answered; the message says why.",
    "401": "The token is missing.",
    "403": "The request comes from a page of another site.",
    "404": "There is nothing of that name.",
    "503": "It took too long, too many requests wait, or the store cannot be reached.",
}
_FORMAT = Parameter(
    "format",
    "Of the answer; otherwise the Accept header says it.",
    {"type": "string", "enum": list(MEDIA_TYPES), "default": "json"},
)


def description() -> dict[str, Any]:
    """The document; https://spec.openapis.org/oas/v3.1.0."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Materials embedding feature store",
            "version": metadata.version("materials-featurestore"),
            "description": "What the pages of 'featurestore explore' are made of. The store is "
            "only read. A server that asks for a token takes it as 'Authorization: Bearer TOKEN'.",
        },
        "servers": [{"url": "/api"}],
        "security": [{}, {"token": []}],
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": {
                "Error": {
                    "type": "object",
                    "required": ["error", "message"],
                    "properties": {"error": {"type": "string"}, "message": {"type": "string"}},
                },
                "Lineage": LINEAGE,
            },
        },
        "paths": {endpoint.path: {"get": _operation(endpoint)} for endpoint in ENDPOINTS},
    }


def _operation(endpoint: Endpoint) -> dict[str, Any]:
    media = MEDIA_TYPES.values() if endpoint.tabular else (endpoint.media,)
    parameters = [*endpoint.parameters, *([_FORMAT] if endpoint.tabular else [])]
    error = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    return {
        "operationId": endpoint.path.strip("/").replace("/", "_"),
        "summary": endpoint.summary,
        "parameters": [
            {
                "name": one.name,
                "in": "query",
                "description": one.description,
                "required": one.required,
                "schema": one.schema,
            }
            for one in parameters
        ],
        "responses": {
            "200": {
                "description": endpoint.summary,
                "content": {
                    kind.partition(";")[0]: {"schema": _schema(kind, endpoint)} for kind in media
                },
            },
            **{code: {"description": said, "content": error} for code, said in _ERRORS.items()},
        },
    }


def _schema(media: str, endpoint: Endpoint) -> dict[str, Any]:
    if media == "application/json":
        return endpoint.form
    text = media.startswith(("text/", "chemical/", "image/svg"))
    return {"type": "string"} if text else {"type": "string", "format": "binary"}
