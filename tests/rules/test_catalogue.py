"""Every operator of every schema version falls in one class, and docs/operators.md says which."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import onnx.defs
import pytest

from onnxlin.rules import RULES, catalogue
from tests.installed import require_definitions

ENTRIES = list(catalogue.entries())
# Without a rule, each with the reason. Nothing else may be left out.
NONE: dict[tuple[str, str], str] = {}
# onnxruntime knows it, in the standard domain and without a schema of ONNX.
WITHOUT_SCHEMA = {"SimplifiedLayerNormalization"}
# They make floats, but of nothing that could depend on x: an empty list, counts of words.
WITHOUT_FLOATS_TO_READ = {"SequenceEmpty", "TfIdfVectorizer"}


def test_every_operator_of_every_schema_has_one_class() -> None:
    known = {
        (schema.domain, schema.name)
        for schema in onnx.defs.get_all_schemas_with_history()
        if schema.domain in catalogue.DOMAINS
    }
    listed = Counter((entry.domain, entry.op_type) for entry in ENTRIES)
    assert set(listed) == known
    assert set(listed.values()) == {1}
    assert {entry.kind for entry in ENTRIES} <= set(catalogue.CLASSES)


def test_every_schema_version_is_listed_but_those_that_are_refused() -> None:
    versions: dict[tuple[str, str], set[int]] = {}
    for schema in onnx.defs.get_all_schemas_with_history():
        versions.setdefault((schema.domain, schema.name), set()).add(schema.since_version)
    for entry in ENTRIES:
        key = (entry.domain, entry.op_type)
        gone, why = catalogue.REFUSED_FORMS.get(key, (0, ""))
        assert set(entry.versions) == versions[key] - {gone}
        assert why in entry.remark


def test_only_a_handful_has_no_rule() -> None:
    found = {(e.domain, e.op_type): e.remark for e in ENTRIES if e.kind == "none"}
    assert set(found) == set(NONE)
    assert len(found) < 6


@pytest.mark.parametrize("domain", catalogue.DOMAINS)
def test_every_rule_is_listed(domain: str) -> None:
    require_definitions()
    listed = {e.op_type for e in ENTRIES if e.domain == domain} | WITHOUT_SCHEMA
    assert {name for d, name in RULES if d == domain} <= listed


def test_classes_are_those_of_the_rules() -> None:
    for entry in ENTRIES:
        rule = RULES.get((entry.domain, catalogue.RENAMED.get(entry.op_type, entry.op_type)))
        if rule is not None:
            assert entry.kind == rule.status, entry


def test_nothing_that_makes_floats_counts_as_constant_unseen() -> None:
    """Without a rule, only operators that make no floats are constant."""
    for entry in ENTRIES:
        unseen = (
            entry.domain,
            entry.op_type,
        ) not in RULES and entry.op_type not in WITHOUT_FLOATS_TO_READ
        if entry.kind == "constant" and unseen:
            schema = onnx.defs.get_schema(entry.op_type, domain=entry.domain)
            made = {kind for output in schema.outputs for kind in output.types}
            assert not any("float" in kind or "double" in kind for kind in made), entry


def test_the_page_is_up_to_date() -> None:
    require_definitions()
    page = Path(__file__).parents[2] / "docs" / "operators.md"
    assert page.read_text().rstrip() == catalogue.markdown().rstrip(), (
        "onnxlin ops --markdown > docs/operators.md"
    )
