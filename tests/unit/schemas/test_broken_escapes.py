"""Backslashes that were lost on the way: which characters are refused, which breaks doubted, what is left alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from schemas.broken_escapes import doubtful_break, unusable_character
from schemas.configs.loading import load_config
from schemas.errors import ConfigError

UNUSABLE = [
    ("$\frac{1}{2}$", "a form feed followed by 'rac', most likely an unescaped backslash (\\frac)"),
    ("\boxed{7}", "a backspace followed by 'oxed', most likely an unescaped backslash (\\boxed)"),
    ("$\vec{a}$", "a vertical tab followed by 'ec', most likely an unescaped backslash (\\vec)"),
    ("$\alpha$", "a bell followed by 'lpha', most likely an unescaped backslash (\\alpha)"),
    ("end of page\f", "a form feed, most likely an unescaped backslash (\\f)"),
    ("a \ud800 b", "a lone surrogate, U+D800"),
    ("a \udc00 b", "a lone surrogate, U+DC00"),
    ("a\x00b", "the control character U+0000"),
    ("\x1b[1mbold", "the control character U+001B"),
]


@pytest.mark.parametrize(("text", "said"), UNUSABLE, ids=[ascii(text) for text, _ in UNUSABLE])
def test_a_character_that_no_text_holds_on_purpose_is_named_with_its_cause(text: str, said: str) -> None:
    found = unusable_character(text)
    assert found is not None
    assert found.startswith(said)


@pytest.mark.parametrize(
    "text", [r"$\frac{1}{2}$", "two\nlines\tand a tab\r\n", "\U0001f600 \u00e9 \ufeff \u2028 \x85", ""]
)
def test_text_with_breaks_and_characters_of_every_script_is_usable(text: str) -> None:
    assert unusable_character(text) is None


DOUBTFUL = [
    ("is 1 $\neq$ 2?", "a line break followed by 'eq', most likely an unescaped backslash (\\neq)"),
    ("m \neq 0", "a line break followed by 'eq'"),
    ("$3 \times 4$", "a tab followed by 'imes', most likely an unescaped backslash (\\times)"),
    ("\text{cm}", "a tab followed by 'ext'"),
    ("$\theta$", "a tab followed by 'heta'"),
    ("$\nabla f$", "a line break followed by 'abla'"),
    ("\\left( 1 \right)", "a carriage return followed by 'ight', most likely an unescaped backslash (\\right)"),
    ("$\rho$", "a carriage return followed by 'ho'"),
    ("$\nu$", "a line break followed by 'u'"),  # names of variables: only in a formula of a sentence
    ("$x \ne 0$", "a line break followed by 'e'"),
    ("$\tan x$", "a tab followed by 'an'"),
]


@pytest.mark.parametrize(("text", "said"), DOUBTFUL, ids=[ascii(text) for text, _ in DOUBTFUL])
def test_a_break_before_the_rest_of_a_command_is_doubted(text: str, said: str) -> None:
    assert (doubtful_break(text) or "none").startswith(said)


@pytest.mark.parametrize(
    "text",
    [
        r"$1 \neq 2$, $3 \times 4$, $\nu$",
        "Let\nu = 3\ne = 4\ni.e. 5",  # lines of a program, or of a sentence
        "[asy]\ndraw((0,0)--(1,1));\ne=(0,3);\n[/asy]",
        "$$\nu = v\n$$",  # a formula on lines of its own
        "\\begin{array}{l}\nu_{1} \\\\\nu_{2}\n\\end{array}",
        "apples\tan orange\nless than\nmid way\nnot so\nneq",
        "see\neq. 4",
        "a line\r\nright after a break of Windows",
    ],
)
def test_a_break_of_a_line_is_no_fault_by_itself(text: str) -> None:
    assert doubtful_break(text) is None


@pytest.mark.parametrize(
    ("override", "said"),
    [
        (r'problems.instruction="\boxed{}"', "problems.instruction: the text holds a backspace followed by 'oxed'"),
        (r'problems.instruction="Use \frac."', "problems.instruction: the text holds a form feed followed by 'rac'"),
        (
            r'problems.benchmarks.b={kind="local", path="a\b.jsonl"}',
            "problems.benchmarks.b.path: the text holds a back",
        ),
        (r'problems.instruction="Say \pi."', "the text in quotes is not TOML"),  # once taken with its quotes
        (r"problems.instruction='it's'", "the text in quotes is not TOML"),
    ],
)
def test_a_setting_that_lost_its_backslash_is_refused_with_the_way_out(override: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config("tiny", overrides=[override])
    assert said in str(caught.value)
    assert "single quotes" in str(caught.value)


@pytest.mark.parametrize("value", [r"\boxed{}", r"'\boxed{}'", r'"\\boxed{}"'])
def test_each_way_to_write_a_backslash_gives_one(value: str) -> None:
    assert load_config("tiny", overrides=[f"problems.instruction={value}"]).problems.instruction == r"\boxed{}"


def test_a_profile_of_ones_own_is_looked_at_too(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('[problems]\ninstruction = "Answer in \\boxed{}."\n')
    with pytest.raises(ConfigError, match=r"problems\.instruction: the text holds a backspace followed by 'oxed'"):
        load_config(str(path))
