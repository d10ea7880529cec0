"""JSON Schema of every document that a command prints: the keys on which scripts may rely."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from scalefit.core.errors import UnknownName

Schema = dict[str, Any]

_DRAFT = "https://json-schema.org/draft/2020-12/schema"
_TEXT: Schema = {"type": "string"}
_TRUTH: Schema = {"type": "boolean"}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_NUMBER: Schema = {"type": "number"}
# Null where there is no number; documents hold no NaN and no infinity.
_MAYBE: Schema = {"type": ["number", "null"]}
_SHARE: Schema = {"type": ["number", "null"], "minimum": 0, "maximum": 1}


def schema_of(name: str) -> Schema:
    """The JSON Schema of the documents whose schema is called `scalefit.NAME/1`.

    Keys that it names are promised; further keys may be added at any time.

    Raises:
        UnknownName: there is no such document.
    """
    if name not in _DOCUMENTS:
        raise UnknownName("document", name, _DOCUMENTS)
    title = f"scalefit.{name}/1"
    body = _DOCUMENTS[name]()
    body["properties"] = {"schema": {"const": title}, **body["properties"]}
    body["required"] = ["schema", *body["required"]]
    return {"$schema": _DRAFT, "$id": f"urn:scalefit:{name}:1", "title": title, **body}


def names() -> tuple[str, ...]:
    """Names of all documents."""
    return tuple(_DOCUMENTS)


def _object(required: Schema, optional: Schema | None = None) -> Schema:
    return {
        "type": "object",
        "properties": {**required, **(optional or {})},
        "required": list(required),
    }


def _list(of: Schema) -> Schema:
    return {"type": "array", "items": of}


def _map(of: Schema) -> Schema:
    return {"type": "object", "additionalProperties": of}


def _or_null(of: Schema) -> Schema:
    return {"anyOf": [of, {"type": "null"}]}


_NOTE = _object(
    {"code": _TEXT, "severity": {"enum": ["note", "warning", "refusal"]}, "message": _TEXT}
)
_NOTES = _list(_NOTE)
_ENDS = _object({"low": _MAYBE, "high": _MAYBE})
_VALUE = _object({"value": _MAYBE, "low": _MAYBE, "high": _MAYBE})
_EXCLUDED = _list(_object({"row": {"type": "integer", "minimum": 1}, "reason": _TEXT}))
_RUNS = _object(
    {
        "source": _TEXT, "sha256": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
        "rows_read": _COUNT, "rows_used": _COUNT, "clusters": {"type": ["integer", "null"]},
        "columns": _map(_TEXT), "derived": _map(_TEXT), "excluded": _EXCLUDED, "notes": _NOTES,
    }
)  # fmt: skip
_HEADER: Schema = {"version": _TEXT, "seed": _COUNT, "runs": _RUNS}
_INTERVAL = _object(
    {"method": _TEXT, "level": _NUMBER, "df": _MAYBE, "clusters": _COUNT},
    {"refits": _COUNT, "failed": _COUNT},
)
_OBJECTIVE = _object({"name": _TEXT, "value": _MAYBE})
_PARAMETER = _object(
    {"value": _MAYBE, "se": _MAYBE, "low": _MAYBE, "high": _MAYBE, "at_bound": _TRUTH},
    {"fixed": _TRUTH},
)
_CERTIFICATE = _object(
    {"score": _MAYBE, "kappa": _MAYBE, "starts": _COUNT, "agree": _COUNT, "bounds": _list(_TEXT)}
)
_FITTED = _object(
    {
        "law": _TEXT, "formula": _TEXT, "status": _TEXT, "objective": _OBJECTIVE,
        "parameters": _map(_PARAMETER), "interval": _INTERVAL, "certificate": _CERTIFICATE,
        "derived": _map(_VALUE), "sigma": _MAYBE, "notes": _NOTES,
    },
    {"source": _TEXT, "inputs": _map(_TEXT)},
)  # fmt: skip
_TAU = _object({"value": _MAYBE, "source": {"enum": ["estimated", "assumed"]}, "forecasts": _COUNT})
_ABOUT: Schema = {"law": _TEXT, "status": _TEXT, "interval": _INTERVAL}
_POINT = _object(
    {
        "at": _map(_MAYBE), "loss": _object({"value": _MAYBE}), "exact_law": _ENDS,
        "new_run": _ENDS, "headline": _ENDS, "decades": _MAYBE, "trust": _TEXT, "notes": _NOTES,
    }
)  # fmt: skip
_SPLIT = _object(
    {
        "budget": _NUMBER, "N": _VALUE, "D": _VALUE, "tokens_per_parameter": _VALUE,
        "loss": _VALUE,
        "N_headline": _ENDS, "D_headline": _ENDS, "tokens_per_parameter_headline": _ENDS,
        "loss_headline": _ENDS, "N_exact_law": _ENDS, "D_exact_law": _ENDS,
        "tokens_per_parameter_exact_law": _ENDS, "loss_exact_law": _ENDS,
        "near_optimal": _object(
            {"waste": _NUMBER, "N": {**_list(_MAYBE), "minItems": 2, "maxItems": 2}}
        ),
        "decades": _MAYBE, "trust": _TEXT, "notes": _NOTES,
    }
)  # fmt: skip
_GATE = _object({"gate": _TEXT, "passed": _TRUTH, "detail": _TEXT})
_EXTRAPOLATION = _object(
    {
        "forecasts": _COUNT,
        "rmse": _MAYBE,
        "mean_error": _MAYBE,
        "coverage": _SHARE,
        "crps": _MAYBE,
        "boundless": _COUNT,
    }
)
_RANKED = _object(
    {
        "law": _TEXT, "status": _TEXT, "gates": _list(_GATE), "aicc": _MAYBE, "weight": _MAYBE,
        "extrapolation": _EXTRAPOLATION,
    }
)  # fmt: skip


def _fit() -> Schema:
    return _object({**_HEADER, "fits": {**_list(_FITTED), "minItems": 1}})


def _groups() -> Schema:
    refused = _object({"law": _TEXT, "status": {"const": "refused"}, "reason": _TEXT})
    group = _object({"group": _TEXT, "rows": _COUNT, "fits": _list({"anyOf": [_FITTED, refused]})})
    return _object(
        {**_HEADER, "by": _TEXT, "groups": _list(group), "finished": _COUNT, "of": _COUNT}
    )


def _predict() -> Schema:
    return _object({**_HEADER, **_ABOUT, "rows": _list(_POINT), "tau": _TAU})


def _optimum() -> Schema:
    exponents = _object({"N": _VALUE, "D": _VALUE})
    return _object(
        {**_HEADER, **_ABOUT, "exponents": exponents, "rows": _list(_SPLIT), "tau": _TAU,
         "split_tau": _TAU}
    )  # fmt: skip


def _compare() -> Schema:
    return _object({**_HEADER, "laws": _list(_RANKED), "verdict": _TEXT, "notes": _NOTES})


def _rollout() -> Schema:
    forecast = _object(
        {"row": _COUNT, "scale": _NUMBER, "decades": _MAYBE, "loss": _NUMBER, "predicted": _MAYBE,
         "low": _MAYBE, "high": _MAYBE, "inside": _TRUTH}
    )  # fmt: skip
    stage = _object(
        {"cut": _NUMBER, "runs": _COUNT, "law": _TEXT, "tau": _MAYBE,
         "refusal": _or_null(_TEXT), "forecasts": _list(forecast)}
    )  # fmt: skip
    coverage = _object(
        {"distance": _TEXT, "forecasts": _NUMBER, "covered": _SHARE,
         "covered_if_law_right": _SHARE, "rmse": _MAYBE, "mean_error": _MAYBE,
         "half_width": _MAYBE}
    )  # fmt: skip
    return _object(
        {**_HEADER, "scale": _TEXT, "level": _NUMBER, "stages": _list(stage),
         "coverage": _list(coverage)}
    )  # fmt: skip


def _holdout() -> Schema:
    score = _object(
        {"law": _TEXT, "error": _MAYBE, "mean": _MAYBE, "inside": _MAYBE, "trusting": _MAYBE,
         "width": _MAYBE, "remark": _TEXT}
    )  # fmt: skip
    counts = dict.fromkeys(("groups", "best", "far", "beyond", "against"), _COUNT)
    standing = _object(
        {"law": _TEXT, **counts, "median": _MAYBE, "mean": _MAYBE, "coverage": _SHARE,
         "trusting": _SHARE, "width": _MAYBE}
    )  # fmt: skip
    group = _object({"group": _TEXT, "fitted": _COUNT, "held_out": _COUNT, "scores": _list(score)})
    return _object(
        {**_HEADER, "by": _or_null(_TEXT), "holdout": _object({"column": _TEXT, "value": _TEXT}),
         "level": _NUMBER, "laws": _list(standing), "groups": _list(group)}
    )  # fmt: skip


def _check() -> Schema:
    return _object({**_HEADER, "columns": _map(_TEXT), "findings": _NOTES})


def _report() -> Schema:
    parts = {name: _or_null(_DOCUMENTS[name]()) for name in ("predict", "optimum", "compare")}
    return _object(
        {**_HEADER, "fit": _or_null(_fit()), "comparison": parts["compare"],
         "predictions": parts["predict"], "optimum": parts["optimum"], "findings": _NOTES}
    )  # fmt: skip


def _columns() -> Schema:
    return _object(
        {"version": _TEXT, "source": _TEXT, "columns": _map(_TEXT), "derived": _map(_TEXT),
         "unused": _list(_TEXT), "notes": _NOTES}
    )  # fmt: skip


def _ingest() -> Schema:
    source = _object(
        {"source": _TEXT, "sha256": _TEXT, "rows_read": _COUNT, "rows_used": _COUNT,
         "columns": _map(_TEXT)}
    )  # fmt: skip
    return _object(
        {"version": _TEXT, "sources": _list(source), "rows": _COUNT, "columns": _list(_TEXT),
         "notes": _NOTES}
    )  # fmt: skip


def _laws() -> Schema:
    law = _object(
        {"law": _TEXT, "formula": _TEXT, "inputs": _list(_TEXT), "parameters": _list(_TEXT),
         "source": _TEXT, "example": _map(_NUMBER)}
    )  # fmt: skip
    return _object({"laws": _list(law)})


def _lawtest() -> Schema:
    promise = _object({"promise": _TEXT, "kept": _TRUTH, "detail": _TEXT})
    return _object({"law": _TEXT, "promises": _list(promise)})


def _explain() -> Schema:
    return _object(
        {"code": _TEXT, "severity": _TEXT, "trigger": _TEXT, "meaning": _TEXT, "remedy": _TEXT}
    )


_DOCUMENTS: dict[str, Callable[[], Schema]] = {
    "fit": _fit, "groups": _groups, "predict": _predict, "optimum": _optimum,
    "compare": _compare, "holdout": _holdout, "rollout": _rollout, "check": _check,
    "report": _report, "columns": _columns, "ingest": _ingest, "laws": _laws,
    "lawtest": _lawtest, "explain": _explain,
}  # fmt: skip
