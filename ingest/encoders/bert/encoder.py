"""The text encoder of the BERT family, as in Li et al. (2025): mean of the last layer's tokens."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch

from featurestore.errors import InvalidInputError
from featurestore.failure import Failure
from featurestore.files import read_json
from featurestore.texts.variants import MASK
from ingest.encoders.base import EncoderSpec, Precision, Segment, TextEncoder, TextVector
from ingest.encoders.bert.model import Transformer, load_transformer, weights_file
from ingest.encoders.bert.numbers import NumberForm, number_form
from ingest.encoders.bert.packing import pack_by_length
from ingest.encoders.bert.tokens import TOKENIZER_FILES, Tokenizer, Tokens
from ingest.encoders.parallel import all_cores
from ingest.encoders.schooling import schooling
from ingest.weights.cache import file_sha256, weights_folder

Pooling = Literal["mean", "cls"]

# Tokens of a batch, padding included. On a CPU, where every core has a batch of its own, larger
# ones only push the activations out of the caches; a GPU needs many to be busy.
TOKEN_BUDGET = {"cpu": 1024, "cuda": 65536}


def load_bert_encoder(
    weights: str | Path,
    *,
    name: str,
    pooling: Pooling = "mean",
    layer: int = -1,
    max_tokens: int = 512,
    special_tokens: bool = True,
    precision: Precision = "float32",
    device: str = "cpu",
) -> TextEncoder:
    """An encoder with the weights of a BERT or MPNet model.

    The defaults are the setting of Li et al. (2025): the last layer, the mean over all tokens with
    [CLS] and [SEP], at most 512 tokens.

    The fingerprint holds the SHA-256 of the weights and of the tokenizer files, the architecture,
    every parameter below but ``device`` and, of a model that was trained here, what from. Device,
    library versions and the company of other texts in a batch change a float32 vector by less than
    1e-5 of its length, which is less than what they change in each other; they are no part of it.

    Parameters
    ----------
    weights : str or Path
        A folder with ``config.json``, the weights (``model.safetensors``, or ``pytorch_model.bin``
        read as weights only) and the tokenizer; or the name of pulled weights; or OWNER/NAME of a
        pulled Hugging Face repository.
    name : str
        The encoder's short name.
    pooling : {"mean", "cls"}
        The mean of the token vectors, or the first token's vector.
    layer : int
        Whose output is pooled: 0 the embeddings, 1 the first layer, -1 the last.
    max_tokens : int
        Longer texts are cut there, special tokens included.
    special_tokens : bool
        Whether the mean takes in the special tokens. The model sees them in any case.
    precision : {"float32", "bfloat16"}
        Of the transformer's weights and activations; pooling is float32 in any case.
    device : str
        "cpu", "cuda" or "cuda:N".

    Raises
    ------
    MissingDataError, UnknownNameError
        If there is no such folder and no such pulled weights.
    InvalidInputError
        If the files are damaged or do not belong together, or a parameter does not suit them.
    """
    folder = weights_folder(weights)
    if pooling == "cls" and not special_tokens:
        raise InvalidInputError("pooling 'cls' takes a special token: special_tokens must be True")
    if device.partition(":")[0] not in TOKEN_BUDGET:
        raise InvalidInputError(f"device {device!r}: only {' and '.join(TOKEN_BUDGET)} are known")
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise InvalidInputError(
            f"device {device!r}: this torch ({torch.__version__}) sees no CUDA GPU; use 'cpu'"
        )
    transformer = load_transformer(folder, layer)
    if not 3 <= max_tokens <= transformer.max_positions:
        raise InvalidInputError(
            f"max_tokens is {max_tokens}; {folder} takes 3 to {transformer.max_positions}"
        )
    tokenizer = Tokenizer(folder, transformer.config, max_tokens)
    config = read_json(folder / "config.json")
    numbers = number_form(config)
    dimension = transformer.architecture["hidden_size"]
    n_layers = transformer.architecture["num_hidden_layers"]
    spec = EncoderSpec(
        name=name,
        kind="text",
        dimension=dimension,
        segments=(Segment("text", 0, dimension),),
        fingerprint={
            "family": "bert",
            "weights_sha256": file_sha256(weights_file(folder)),
            "tokenizer_sha256": {
                file: file_sha256(folder / file)
                for file in TOKENIZER_FILES
                if (folder / file).is_file()
            },
            "architecture": transformer.architecture,
            "layer": layer if layer >= 0 else n_layers + 1 + layer,
            "pooling": pooling,
            "max_tokens": max_tokens,
            "special_tokens": special_tokens,
            "precision": precision,
            **numbers.said(),
            **schooling(config),
        },
    )
    return BertEncoder(spec, tokenizer, transformer, torch.device(device), numbers)


class BertEncoder:
    """Encodes texts in batches of like length; each distinct text of a call is encoded once.

    Larger calls pack better: a few hundred texts at a time leave hardly any padding.

    An empty text has the vector of the special tokens alone.
    """

    def __init__(
        self,
        spec: EncoderSpec,
        tokenizer: Tokenizer,
        transformer: Transformer,
        device: torch.device,
        numbers: NumberForm,
    ) -> None:
        self.spec = spec
        self._numbers = numbers
        self._tokenizer = tokenizer
        self._device = device
        dtype = getattr(torch, spec.fingerprint["precision"])
        self._module = transformer.module.to(device=device, dtype=dtype)

    def encode(self, texts: Sequence[str]) -> list[TextVector | Failure]:
        """One result for each text, in order.

        A text that is no valid Unicode, that has masks which the tokenizer lacks, of which it knows
        less than half, or whose vector is not finite becomes a ``Failure``.
        """
        distinct = dict.fromkeys(texts)
        results: dict[str, TextVector | Failure] = {}
        readable = []
        for text in distinct:
            try:
                text.encode("utf-8")
            except UnicodeEncodeError as error:
                results[text] = Failure.of(error)
                continue
            if MASK in text and not self._tokenizer.can_mask:
                results[text] = Failure(
                    "NoMaskToken", f"the tokenizer of {self.spec.name} has no mask token"
                )
                continue
            readable.append(text)
        usable: list[tuple[str, Tokens]] = []
        shaped = [self._numbers(text) for text in readable]
        for text, tokens in zip(readable, self._tokenizer(shaped), strict=True):
            if (failure := self._refusal(tokens)) is not None:
                results[text] = failure
            else:
                usable.append((text, tokens))
        budget = TOKEN_BUDGET[self._device.type]
        packed = pack_by_length([len(tokens.ids) for _, tokens in usable], budget)
        batches = [[usable[index] for index in batch] for batch in packed]
        for members, vectors in zip(batches, self._vectors(batches), strict=True):
            for (text, tokens), vector in zip(members, vectors, strict=True):
                results[text] = (
                    TextVector(vector, tokens.n_tokens, tokens.truncated)
                    if np.isfinite(vector).all()
                    else Failure("NonFiniteVector", "the model's output is not finite")
                )
        return [results[text] for text in texts]

    def _vectors(
        self, batches: Sequence[Sequence[tuple[str, Tokens]]]
    ) -> list[npt.NDArray[np.float32]]:
        """Vectors of each batch, in order."""
        tokens = [[tokens for _, tokens in batch] for batch in batches]
        if self._device.type != "cpu":
            return [self._forward(batch) for batch in tokens]
        with all_cores() as pool:
            return list(pool.map(self._forward, tokens))

    def _refusal(self, tokens: Tokens) -> Failure | None:
        if tokens.mostly_unknown:
            n_words = len(tokens.ids) - sum(tokens.special)
            return Failure(
                "UnknownTokens",
                f"the tokenizer of {self.spec.name} does not know {tokens.n_unknown} of the "
                f"text's {n_words} tokens",
            )
        if not self.spec.fingerprint["special_tokens"] and all(tokens.special):
            return Failure("EmptyText", "an empty text has no tokens but the special ones")
        return None

    def _forward(self, batch: Sequence[Tokens]) -> npt.NDArray[np.float32]:
        """Vectors of texts whose tokens fit into one batch: float32, shape (n_texts, dimension)."""
        n_longest = max(len(tokens.ids) for tokens in batch)
        ids = np.full((len(batch), n_longest), self._tokenizer.pad_id, dtype=np.int64)
        present = np.zeros((len(batch), n_longest), dtype=np.int64)
        pooled = np.zeros((len(batch), n_longest), dtype=np.float32)
        for row, tokens in enumerate(batch):
            n_tokens = len(tokens.ids)
            ids[row, :n_tokens] = tokens.ids
            present[row, :n_tokens] = 1
            pooled[row, :n_tokens] = self._pooled(tokens)
        padded = not present.all()
        with torch.inference_mode():
            hidden = self._module(
                input_ids=torch.from_numpy(ids).to(self._device),
                # Without a mask attention takes the faster kernel.
                attention_mask=torch.from_numpy(present).to(self._device) if padded else None,
            ).last_hidden_state
            weights = torch.from_numpy(pooled).to(self._device)
            summed = torch.bmm(weights.unsqueeze(1), hidden.float()).squeeze(1)
            vectors: npt.NDArray[np.float32] = summed.cpu().numpy()
        return vectors / pooled.sum(axis=1, keepdims=True)

    def _pooled(self, tokens: Tokens) -> npt.NDArray[np.float32]:
        """1 for each token that the pooling takes in, else 0."""
        if self.spec.fingerprint["pooling"] == "cls":
            chosen = np.zeros(len(tokens.ids), dtype=np.float32)
            chosen[0] = 1.0
            return chosen
        if self.spec.fingerprint["special_tokens"]:
            return np.ones(len(tokens.ids), dtype=np.float32)
        return 1.0 - np.array(tokens.special, dtype=np.float32)
