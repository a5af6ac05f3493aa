"""What a model costs for a record, against those that the planning figures are for."""

from __future__ import annotations

import json

import pytest

from models.settings.gnn import GnnSettings
from models.settings.text_encoder import SmallEncoder
from models.settings.transformer import TransformerSettings
from tasks.model_cost import LEAST_COST, relative_cost

SMALL = SmallEncoder(hidden_dim=64, num_layers=2, num_heads=4, feedforward_dim=256)


def transformer(**fields):
    """Weights that may be fetched: as if they were at hand."""
    return TransformerSettings(**({"allow_network": True} | fields))


def test_the_models_of_the_planning_figures_cost_one():
    assert relative_cost(transformer()) == 1.0
    assert relative_cost(GnnSettings()) == 1.0


def test_a_tiny_model_costs_little_and_never_nothing():
    assert relative_cost(transformer(pretrained="off", small=SMALL, max_seq_len=64)) == LEAST_COST
    assert relative_cost(GnnSettings(embedding_dim=8, hidden_dim=8, num_layers=1)) == LEAST_COST


@pytest.mark.parametrize(
    ("fields", "low", "high"),
    [
        ({"max_seq_len": 256}, 0.4, 0.5),
        ({"max_windows": 3}, 3, 3),
        ({"gradient_checkpointing": True}, 1.3, 1.4),
        ({"backbone": "Salesforce/codet5-small"}, 0.2, 0.3),
        ({"pretrained": "off"}, 0.03, 0.06),
    ],
)
def test_work_follows_size_and_length(fields, low, high):
    assert low <= relative_cost(transformer(**fields)) <= high


def test_a_backbone_in_a_folder_counts_with_its_own_size(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"num_layers": 6, "d_model": 512, "d_ff": 2048}))
    in_folder, by_name = (
        relative_cost(transformer(backbone=name)) for name in (str(tmp_path), "Salesforce/codet5-small")
    )
    assert in_folder == by_name


def test_weights_that_are_not_at_hand_count_as_the_small_encoder_that_is_trained(monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    assert relative_cost(TransformerSettings()) == relative_cost(TransformerSettings(pretrained="off"))
    assert relative_cost(TransformerSettings(pretrained="required")) == 1.0


def test_typed_graphs_cost_more_than_plain_ones_and_wide_ones_more_than_narrow():
    assert 2 < relative_cost(GnnSettings(architecture="typed")) < 4
    assert relative_cost(GnnSettings(hidden_dim=512)) > 3
