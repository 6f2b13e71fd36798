"""The picture of the lineage: a place for every stage of the recipe, and for those that are added."""

from __future__ import annotations

import re

from flows.recipe import RECIPE
from infra.report.charts.lineage_graph import BOX_HEIGHT, PLACES, lineage_svg
from schemas.artifact import MANIFEST_VERSION, InputRef, Manifest


def manifest(stage: str, *inputs: str, key: str = "") -> Manifest:
    return Manifest(
        manifest_version=MANIFEST_VERSION, stage=stage, stage_version=1, key=key or stage, digest="sha256:0",
        run_id="r", created_at="2026-01-01T00:00:00+00:00",
        inputs=tuple(InputRef(stage=name, key=name, digest="sha256:0") for name in inputs),
        config={}, fingerprint="", packages={}, environment={}, seed=0, rows=1, drops={}, checks=(), timings={},
        files=(),
    )  # fmt: skip


def boxes(svg: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in re.findall(r'<rect x="(\S+)" y="(\S+)"', svg)]


def test_every_stage_of_the_recipe_has_a_place_for_each_time_it_runs() -> None:
    names = [stage.name for stage in RECIPE]
    assert {stage: len(places) for stage, places in PLACES.items()} == {name: names.count(name) for name in names}


def test_no_box_covers_another_and_no_lane_runs_through_a_box_it_passes() -> None:
    places = [place for own in PLACES.values() for place in own]
    for place in places:
        for other in places:
            if place.column == other.column and place is not other:
                assert abs(place.y - other.y) > BOX_HEIGHT
            if place.column < other.column < PLACES["report"][0].column:
                assert abs(place.lane - other.y) > BOX_HEIGHT / 2


def test_a_stage_without_a_place_is_drawn_below_the_others_right_of_its_inputs() -> None:
    svg = lineage_svg([manifest("problems"), manifest("count_words", "problems"), manifest("more", "count_words")])
    assert svg is not None
    (_, first_y), (second_x, second_y), (third_x, third_y) = boxes(svg)
    assert first_y < second_y < third_y
    assert second_x < third_x
    assert svg.count('class="edge"') == 2


def test_an_input_that_is_not_there_has_a_dashed_box() -> None:
    svg = lineage_svg([manifest("pairs", "problems", "teach")])
    assert svg is not None
    assert svg.count('class="box absent"') == 2
    assert lineage_svg([]) is None
