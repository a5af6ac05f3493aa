"""How well scores order lists, for validation: mean reciprocal rank and its kin over lists that hold both labels.

Shape letters: L lists, C candidates of the longest list.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from models.evaluation.retrieval.rank_metrics import measure, pessimistic, tie_groups
from models.training.ranked_lists import RankedLists

KS = (1, 5, 10)


def list_metrics(examples: RankedLists, scores_LC: npt.NDArray[np.float32]) -> dict[str, float]:
    """MRR, share of lists with a right candidate first, recall and MAP; ``selection`` is the MRR.

    Of equal scores the wrong candidate stands first, so that a constant score earns what the worst order earns. Recall
    and MAP count the relevant texts that never came into the list too, where the list says how many there are.

    Args:
        examples: The lists; those of one label are left out.
        scores_LC: A row for each list; behind its candidates it is not read.
    """
    (mixed,) = np.nonzero(examples.is_mixed)
    there_LC = examples.there(mixed)
    query_K, _ = np.nonzero(there_LC)
    scores_K = scores_LC[mixed, : there_LC.shape[1]][there_LC].astype(np.float64)
    relevant_K = examples.candidates.relevant[examples.candidates_of(mixed)] == 1
    order_K = np.lexsort((-scores_K, query_K))
    groups = tie_groups(query_K[order_K], scores_K[order_K], relevant_K[order_K])
    entries = [examples.lists[row] for row in mixed]
    in_pool_L = np.array([max(entry.num_relevant, sum(entry.relevant)) for entry in entries], dtype=np.int64)
    means = {name: float(values.mean()) for name, values in measure(pessimistic(groups), in_pool_L, KS).items()}
    recall = {f"val_recall_{k}": means[f"recall@{k}"] for k in KS}
    told = {"val_mrr": means["mrr"], "val_top_1": means["top1"], **recall, "val_map": means["map"]}
    return {**told, "selection": means["mrr"]}
