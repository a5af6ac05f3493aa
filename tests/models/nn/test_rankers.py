"""The networks of rerankers and patch rankers: what they compare, and what they remember of features."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from models.nn.pair_comparison import PairComparison
from models.nn.patch_ranker import PatchRanker


def test_the_reranker_reads_both_vectors_their_product_and_their_distance():
    torch.manual_seed(0)
    network = PairComparison(3, 2, hidden_dim=5, num_layers=1, dropout=0.0)
    query, candidate = (functional.normalize(torch.randn(4, 3), dim=1) for _ in range(2))
    features = torch.randn(4, 2)
    first, _, _, last = network.layers
    assert isinstance(first, nn.Linear)
    assert isinstance(last, nn.Linear)
    nn.init.normal_(last.weight)
    assert first.in_features == 4 * 3 + 2
    for row in range(4):
        q, d = query[row] * 3**0.5, candidate[row] * 3**0.5
        read = torch.cat([q, d, q * d, (q - d).abs(), features[row]])
        expected = last(torch.relu(first(read)))[0] + features[row, 0]
        torch.testing.assert_close(network(query, candidate, features)[row], expected)


def test_an_untrained_reranker_keeps_the_order_of_the_first_stage():
    network = PairComparison(3, 2, hidden_dim=5, num_layers=2, dropout=0.0)
    vectors, features = functional.normalize(torch.randn(9, 3), dim=1), torch.randn(9, 2)
    network.features.learn(features)
    scores = network(vectors, vectors.flip(0), features)
    assert scores.argsort().tolist() == features[:, 0].argsort().tolist()


def test_the_reranker_has_as_many_hidden_layers_as_it_is_told():
    network = PairComparison(4, 1, hidden_dim=6, num_layers=3, dropout=0.1)
    shapes = [tuple(layer.weight.shape) for layer in network.layers if isinstance(layer, nn.Linear)]
    assert shapes == [(6, 17), (6, 6), (6, 6), (1, 6)]


def test_features_are_standardised_by_what_was_learnt_from_and_that_is_in_the_model_file():
    torch.manual_seed(0)
    network = PatchRanker(None, 3, hidden_dim=4, dropout=0.0)
    features = torch.tensor([[1.0, 0.1, 100.0], [2.0, 0.1, 300.0], [3.0, 0.1, 500.0]])
    network.features.learn(features)
    assert {"features.mean_F", "features.std_F"} <= network.state_dict().keys()
    assert network.features.std_F[1] == 1.0  # a feature that never differs is left at 0, not divided by its rounding
    seen = []
    network.layers.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    network(None, None, features)
    torch.testing.assert_close(seen[0].mean(dim=0), torch.zeros(3), rtol=0, atol=1e-6)
    torch.testing.assert_close(seen[0].std(dim=0, correction=0), torch.tensor([1.0, 0.0, 1.0]))
