"""The card of a saved model: what it is, how to load it without this project, what it was trained on and is not."""

from __future__ import annotations

import inspect
import json
from typing import Any

from transformers import PreTrainedModel

from models.settings.transformer import TransformerSettings
from models.training.objective import Story

POOLED = {
    "cls": "states[:, 0]",
    "eos": "states[torch.arange(len(states)), mask.sum(1) - 1]",
    "mean": "(states * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)",
    "attention": (
        '((states @ head["pooling.score.weight"].T)[..., 0].masked_fill(mask == 0, -torch.inf).softmax(1)'
        "[..., None] * states).sum(1)"
    ),
}
"""Each pooling as one line over ``states`` and ``mask``."""
STATES = {
    "encoder": "backbone(ids, attention_mask=mask).last_hidden_state",
    "encoder_decoder": (
        "backbone(\n"
        "        ids, attention_mask=mask, decoder_input_ids=backbone._shift_right(ids), decoder_attention_mask=mask\n"
        "    ).last_hidden_state"
    ),
}
"""How each reader gives states, over ``ids`` and ``mask``."""

CARD = """---
library_name: transformers
tags: [code, vulnerability-detection, text-classification]
---

# {title}

Says of a piece of code how likely its label is 1, by the labels it was trained on: a vulnerable function, or a true
finding. Trained by Codewarden.

## Load it

`model.safetensors` and `config.json` are the backbone, for `transformers`; `head.safetensors` holds pooling and head;
the tokenizer's files are beside them. Nothing else is needed:

```python
import torch
from safetensors.torch import load_file
from torch.nn.functional import gelu, linear
from transformers import AutoTokenizer, {backbone}

folder = "."  # where this file lies
backbone = {backbone}.from_pretrained(folder{arguments}).eval()
tokenizer = AutoTokenizer.from_pretrained(folder)
head = load_file(f"{{folder}}/head.safetensors")


@torch.no_grad()
def probability(code):
    tokens = tokenizer({text}, truncation=True, max_length={max_seq_len}, return_tensors="pt")
    ids, mask = tokens["input_ids"], tokens["attention_mask"]
    states = {states}
    pooled = {pooled}
    hidden = gelu(linear(pooled, head["head.dense.weight"], head["head.dense.bias"]))
    logits = linear(hidden, head["head.out.weight"], head["head.out.bias"])
    return float(logits.softmax(-1)[0, 1])
```

This reads the first {max_seq_len} tokens.{windows}
The threshold that goes with the scores is chosen on validation by the evaluate job; 0.5 is only the larger score.

## What it began from

{origin}

## Metrics

On validation, after the epoch that was kept; thresholds, test and comparisons with baselines are in the evaluation's
report:

{metrics}

## Training

The settings that decided the weights, each input by the sha256 of its content:

```json
{question}
```

## Limits

- Labels of security data sets are partly wrong; the model learned these labels, not security.
- It sees one piece of code without what calls or surrounds it, and of a long one only what the settings above keep.
- Scores from other projects, languages or tokenizers than the training data's mean nothing until measured.
"""


def model_card(backbone: PreTrainedModel, settings: TransformerSettings, story: Story) -> str:
    """The card as Markdown; equal runs give equal bytes."""
    facts = story.facts["backbone"]
    records = facts["records"]
    windows = f" In training they were cut by `{records['trimming']}`." if records else ""
    if settings.max_windows > 1:
        windows += (
            f" Records longer than that were read in up to {settings.max_windows} windows that share "
            f"{settings.window_overlap:.1%} of their length, their logits averaged."
        )
    return CARD.format(
        title=f"{backbone.config.model_type} {settings.reads_with.replace('_', ' and ')} with a head for two classes",
        backbone=type(backbone).__name__,
        arguments=", add_pooling_layer=False" if _has_pooling_layer(backbone) else "",
        text='" ".join(code.split())' if records and records["collapse_whitespace"] else "code",
        max_seq_len=settings.max_seq_len,
        states=STATES[settings.reads_with],
        pooled=POOLED[settings.pooling],
        windows=windows,
        origin=_origin(facts, story.question["model"]["backbone"]),
        metrics=_table(story.best),
        question=json.dumps(story.question, indent=1, sort_keys=True),
    )


def _origin(facts: dict[str, Any], backbone: str) -> str:
    """One sentence; a folder is told by its content, for its path means nothing elsewhere."""
    if not facts["pretrained"]:
        return f"A {facts['identity']} ({facts['reason']})."
    if facts["identity"] == "folder":
        return f"A pretrained {facts['family']} model, from a folder with the content `sha256:{backbone}`."
    return f"`{facts['identity']}`."


def _has_pooling_layer(backbone: PreTrainedModel) -> bool:
    """Whether the class would make a layer of its own that this model does not use."""
    return "add_pooling_layer" in inspect.signature(type(backbone).__init__).parameters


def _table(best: dict[str, Any]) -> str:
    rows = [f"| {name} | {value:.4g} |" for name, value in sorted(best.items())]
    return "\n".join(["| | |", "|---|---|", *rows])
