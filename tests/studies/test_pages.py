"""Every study's page is made of its committed results, and its toy run has the same keys."""

from __future__ import annotations

from typing import Any

import pytest

from fixtures.studies import STUDIES
from fixtures.studies.shared import overview, results
from fixtures.studies.shared.places import PAGES, PICTURES
from fixtures.studies.shared.study import find, measured


@pytest.mark.parametrize("name", STUDIES)
def test_the_page_is_made_of_the_results(name: str) -> None:
    made = find(name).page(results.read(name))
    assert made == (PAGES / f"{name}.md").read_text(), f"python -m fixtures.studies {name} --page"


def test_the_list_of_studies_has_their_answers() -> None:
    again = "python -m fixtures.studies NAME --page"
    assert overview.page() == overview.PAGE.read_text(), again
    assert list(overview.QUESTIONS) == list(STUDIES)


@pytest.mark.parametrize("name", STUDIES)
def test_the_page_shows_its_pictures(name: str) -> None:
    text = (PAGES / f"{name}.md").read_text()
    shown = sorted(PICTURES.glob(f"{name}_*.png"))
    assert shown
    assert all(f"../images/studies/{path.name}" in text for path in shown)


@pytest.mark.parametrize("name", STUDIES)
def test_a_toy_run_has_the_same_keys(name: str) -> None:
    """The same keys; of those that are names of nets, data sets or seeds there may be fewer."""
    assert_same_keys(measured(name, "toy"), results.read(name), name)


def assert_same_keys(toy: Any, full: Any, where: str) -> None:
    if not isinstance(toy, dict):
        return
    assert isinstance(full, dict), where
    assert set(toy) <= set(full), f"{where}: {set(toy) - set(full)}"
    for key in toy:
        assert_same_keys(toy[key], full[key], f"{where}/{key}")
