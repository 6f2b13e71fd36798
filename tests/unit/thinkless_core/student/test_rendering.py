"""What a user spells out is text, and text has the same ids however it is encoded: for every kind of tokenizer."""

from __future__ import annotations

import pytest
from tokenizers import AddedToken, normalizers
from transformers import PreTrainedTokenizerBase

from tests.unit.thinkless_core.student.trained_tokenizers import KINDS, byte_level, unigram
from thinkless_core.student.control_tokens import CONTROL_TEXTS, ControlTokens, add_control_tokens
from thinkless_core.student.rendering import (
    _other_name,
    _renamed,
    _spelling,
    decode_completion,
    render_completion,
    render_prompt,
)

NORMAL = (
    "37+48*12=?",
    "What is 1 + 2?",
    " leading and trailing space  ",
    "\n\nlines\n",
    "<thin k> < short > think</ think",
    "na\u00efve \u4e16\u754c \U0001f642 \u00a0no-break",
    "def f(x):\n    return x\n\n\n\ttab",
    "",
)
SPELT = (
    "What does <think> mean?",
    "<think></think><short>",
    "a<short>b </think>",
    "<think>\nI know.\n</think>\n\nThe answer",
    "<<think>> and <think",
)


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: kind.__name__)
def tokenizer(request: pytest.FixtureRequest) -> PreTrainedTokenizerBase:
    """One of every kind, with control tokens."""
    made: PreTrainedTokenizerBase = request.param()
    add_control_tokens(made)
    return made


def of_template(tokenizer: PreTrainedTokenizerBase, prompt: str) -> str:
    """The prompt as plain transformers renders it."""
    messages = [{"role": "user", "content": prompt}]
    return str(tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False))


@pytest.mark.parametrize("text", NORMAL)
def test_a_prompt_has_the_ids_of_plain_transformers(tokenizer: PreTrainedTokenizerBase, text: str) -> None:
    plain = tokenizer.apply_chat_template(
        [{"role": "user", "content": text}], add_generation_prompt=True, return_dict=True
    )
    assert render_prompt(tokenizer, text) == tuple(plain["input_ids"])


@pytest.mark.parametrize("text", NORMAL)
def test_the_copy_with_other_names_gives_normal_text_the_same_ids(
    tokenizer: PreTrainedTokenizerBase, text: str
) -> None:
    """The way of a prompt with spelt-out tokens, taken by one without."""
    spelling, marker = _spelling(tokenizer), "\ue123"
    number = {token: i for i, token in enumerate(spelling.tokens)}
    rendered = of_template(tokenizer, text)
    written = spelling.pattern.sub(lambda found: _other_name(marker, number[found[0]]), rendered)
    ids = _renamed(tokenizer, marker).encode(written, add_special_tokens=False).ids
    assert ids == tokenizer(rendered, add_special_tokens=False).input_ids


@pytest.mark.parametrize("text", SPELT)
def test_what_a_user_spells_out_is_never_a_control_or_special_id(tokenizer: PreTrainedTokenizerBase, text: str) -> None:
    control = ControlTokens.of(tokenizer)
    special = {i for i, token in tokenizer.added_tokens_decoder.items() if token.special} - {tokenizer.unk_token_id}
    reserved = special | {control.short_id, control.think_id, control.think_end_id}
    spelt_out = f"{text} {tokenizer.eos_token}"
    ids, empty = render_prompt(tokenizer, spelt_out), render_prompt(tokenizer, "x")
    assert [i for i in ids if i in reserved] == [i for i in empty if i in reserved], "those of the template alone"
    decoded = tokenizer.decode(ids, skip_special_tokens=False)
    if tokenizer.unk_token not in decoded:
        assert spelt_out.replace(" ", "") in decoded.replace(" ", ""), "and the text is all there"


def test_spelt_out_tokens_next_to_line_breaks_join_the_template_as_other_text_does() -> None:
    """Byte-level BPE makes one token of a header's line break and the text's own; a prompt cut in pieces would not."""
    tokenizer = byte_level()
    add_control_tokens(tokenizer)
    joined = tokenizer("\n\n\n", add_special_tokens=False).input_ids
    apart = [i for _ in range(3) for i in tokenizer("\n", add_special_tokens=False).input_ids]
    assert joined != apart
    plain, spelt = render_prompt(tokenizer, "\n\nx"), render_prompt(tokenizer, "\n\n<think>")
    shared = len(tokenizer("<|im_start|>user\n\n\n", add_special_tokens=False).input_ids)
    assert spelt[:shared] == plain[:shared]


def test_a_model_that_knows_its_control_tokens_as_pieces_does_not_find_them_in_text() -> None:
    tokenizer = unigram()
    pieces = ["</s>", "<|im_end|>"]
    found = tokenizer("x </s> <|im_end|>", add_special_tokens=False, split_special_tokens=True).input_ids
    assert set(tokenizer.convert_tokens_to_ids(pieces)) & set(found), "left alone, this Unigram model does"
    add_control_tokens(tokenizer)
    ids = render_prompt(tokenizer, "x </s> <|im_end|>")
    assert tokenizer.convert_tokens_to_ids("</s>") not in ids
    assert ids.count(tokenizer.convert_tokens_to_ids("<|im_end|>")) == 1


@pytest.mark.parametrize("special", [False, True])
def test_every_added_token_that_a_user_spells_out_is_text(special: bool) -> None:
    """Some models' turn markers are ordinary added tokens, and a normaliser may make one of another spelling."""
    tokenizer = byte_level()
    tokenizer.backend_tokenizer.normalizer = normalizers.NFKC()
    added = [AddedToken(text, special=special, normalized=True) for text in ("<|turn|>", "<\uff5cAssistant\uff5c>")]
    tokenizer.add_tokens([*added, AddedToken("\n\n", special=False, normalized=False)])
    add_control_tokens(tokenizer)
    ids = set(tokenizer.convert_tokens_to_ids(["<|turn|>", "<\uff5cAssistant\uff5c>"]))
    for spelt in ("<|turn|>", "<\uff5cAssistant\uff5c>", "\uff1c|turn|\uff1e", "<|turn|><|turn|>", "<|tu<|turn|>rn|>"):
        assert not ids & set(render_prompt(tokenizer, f"2+2?{spelt}"))
        assert len(render_prompt(tokenizer, f"2+2?{spelt}")) > len(render_prompt(tokenizer, "2+2?")) + 5
    plain = tokenizer(of_template(tokenizer, "a\n\nb"), add_special_tokens=False).input_ids
    assert list(render_prompt(tokenizer, "a\n\nb")) == plain, "line breaks that are added tokens stay"
    tokenizer.chat_template = tokenizer.chat_template.replace("<|im_start|>", "<|turn|>")
    assert len(ids & set(render_prompt(tokenizer, "x <|turn|>"))) == 1, "the template's own stay"


def test_private_characters_in_a_prompt_open_no_way_in() -> None:
    tokenizer = byte_level()
    add_control_tokens(tokenizer)
    control = ControlTokens.of(tokenizer)
    hidden = "".join(f"\ue000{i}\ue000\ue001user{i}\ue001" for i in range(20))
    ids = render_prompt(tokenizer, f"{hidden} <think>")
    assert not {control.short_id, control.think_id, control.think_end_id} & set(ids)
    assert hidden in tokenizer.decode(ids)


def test_a_template_that_trims_the_user_trims_spelt_out_tokens_alike() -> None:
    tokenizer = byte_level()
    add_control_tokens(tokenizer)
    tokenizer.chat_template = tokenizer.chat_template.replace("message['content']", "message['content'] | trim")
    assert render_prompt(tokenizer, "  <think> \n") == render_prompt(tokenizer, "<think>")


@pytest.mark.parametrize("text", ["<think>\nOne, 2.\n</think>\n\n3", "<short>72", "<short> 72", "<short>"])
def test_a_completion_is_control_token_first_and_decodes_to_its_text(
    tokenizer: PreTrainedTokenizerBase, text: str
) -> None:
    ids = render_completion(tokenizer, text, finished=True)
    assert ControlTokens.of(tokenizer).mode_of(ids[0]) is not None
    assert ids[-1] == tokenizer.eos_token_id
    decoded = decode_completion(tokenizer, ids)
    pieces = tokenizer.convert_ids_to_tokens(tokenizer("<think>y", add_special_tokens=False).input_ids)
    if pieces[1].startswith("\u2581"):
        decoded, text = decoded.replace(" ", ""), text.replace(" ", "")  # every piece begins with a space here
    if tokenizer.unk_token_id not in ids:
        assert decoded == text


@pytest.mark.parametrize("text", CONTROL_TEXTS)
def test_a_completion_keeps_its_control_tokens_where_special_ones_are_skipped(
    tokenizer: PreTrainedTokenizerBase, text: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("tokenizer")
    tokenizer.save_pretrained(folder)
    loaded = type(tokenizer).from_pretrained(folder)
    ids = render_completion(loaded, f"{text}7", finished=True)
    assert loaded.decode(ids, skip_special_tokens=True).replace(" ", "") == f"{text}7"
