"""How to load, serve and steer an exported model, as text that can be copied: the same lines the tests run.

ReportInputs (how it was evaluated, its instruction) + name of the folder -> Markdown with code
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pathlib import PurePath

from pydantic import JsonValue

from infra.report.cards.card_format import fenced
from infra.report.cards.card_parts import stage_config
from infra.report.data import queries
from infra.report.data.evidence import query_pairs
from infra.report.data.inputs import ReportInputs

BIAS_FILE = "think_bias.py"
"""The logits processor for transformers, beside the weights."""
VLLM_BIAS = "thinkless_core.sampling.vllm_think_bias:ThinkBias"
"""The one for vLLM, which needs this project installed where vLLM is."""

WORDS = (
    "Let the first token choose, or force it: append `<short>` or `<think>` to the templated prompt. Both are "
    "single tokens of the tokenizer."
)

SWITCHES = (
    "Soft switches in a text (`/no_think`) and arguments of the template (`enable_thinking`, `thinking`, "
    "`reasoning_effort`) have no effect; thoughts of earlier answers stay in the conversation."
)

LOAD = """from transformers import AutoModelForCausalLM, AutoTokenizer

folder = {folder}  # where this folder is, or its id on a hub
tokenizer = AutoTokenizer.from_pretrained(folder{trust})
model = AutoModelForCausalLM.from_pretrained(folder{trust})
settings = dict(do_sample=True, temperature={temperature}, top_p={top_p}, top_k=0, max_new_tokens={limit})

question = [{{"role": "user", "content": {question}}}]
prompt = tokenizer.apply_chat_template(question, add_generation_prompt=True, tokenize=False)
inputs = tokenizer(prompt, add_special_tokens=False, return_tensors="pt")
output = model.generate(**inputs, **settings)
print(tokenizer.decode(output[0, inputs.input_ids.shape[1]:]))
"""

FORCE = """inputs = tokenizer(prompt + "<short>", add_special_tokens=False, return_tensors="pt")
output = model.generate(**inputs, **settings)
print("<short>" + tokenizer.decode(output[0, inputs.input_ids.shape[1]:]))
"""

BIAS = """import sys
from transformers import LogitsProcessorList

sys.path.insert(0, folder)
from think_bias import ThinkBiasLogitsProcessor

think_less = ThinkBiasLogitsProcessor(tokenizer.convert_tokens_to_ids("<think>"), bias=-2.0)
inputs = tokenizer(prompt, add_special_tokens=False, return_tensors="pt")
output = model.generate(**inputs, **settings, logits_processor=LogitsProcessorList([think_less]))
print(tokenizer.decode(output[0, inputs.input_ids.shape[1]:]))
"""

PIPELINE_WORDS = (
    "`transformers.pipeline()` returns thought and answer as one text, because the control tokens are not special "
    "tokens, and it does not say which part is the answer. This splits them; a thought that was cut off has no answer:"
)

PIPELINE = """from transformers import pipeline

generate = pipeline("text-generation", model=model, tokenizer=tokenizer)
text = generate(question, return_full_text=False)[0]["generated_text"]
thought, _, answer = text.partition("</think>") if text.startswith("<think>") else ("", "", text)
print("thought:", thought.removeprefix("<think>"))
print("answer:", answer.removeprefix("<short>"))
"""

LONGEST_TEMPLATE = 1000
"""Characters of a chat template that a card shows; a longer one is in the folder only."""


def decoding(inputs: ReportInputs) -> dict[str, JsonValue]:
    """How the model was evaluated, as keys of `generation_config.json`."""
    evaluated = {"temperature": 1.0, "top_p": 1.0, "max_new_tokens": 256} | dict(stage_config(inputs, "evaluate"))
    return {"do_sample": True, "top_k": 0} | {key: evaluated[key] for key in ("temperature", "top_p", "max_new_tokens")}


def usage(inputs: ReportInputs, *, name: str, folder: str | None, template: str | None) -> list[str]:
    """Parts of a card; without a folder, only what holds for any."""
    if folder is None:
        return [WORDS]
    evaluated = decoding(inputs)
    instruction = stage_config(inputs, "problems").get("instruction")
    question = _example(inputs)
    trust = ", trust_remote_code=True" if _trusts_code(inputs) else ""
    load = LOAD.format(
        folder=json.dumps(PurePath(folder).name),
        trust=trust,
        temperature=evaluated["temperature"],
        top_p=evaluated["top_p"],
        limit=evaluated["max_new_tokens"],
        question=json.dumps(question, ensure_ascii=False),
    )
    request = {
        "model": name,
        "messages": [{"role": "user", "content": question}],
        **{key: evaluated[key] for key in ("temperature", "top_p")},
        "max_tokens": evaluated["max_new_tokens"],
        "skip_special_tokens": False,  # a tokenizer of one's own may have made the control tokens special
    }
    instructed = f" Every problem of its training ended in a line that reads: {instruction}" if instruction else ""
    return [
        f"The chat template ends right before the first token, so that the model chooses.{instructed} {SWITCHES}",
        *_template(template),
        "`generation_config.json` has the settings of the evaluation, which the lines below repeat.",
        fenced("python", load.rstrip()),
        PIPELINE_WORDS,
        fenced("python", PIPELINE.rstrip()),
        WORDS,
        fenced("python", FORCE.rstrip()),
        f"`{BIAS_FILE}`, beside the weights, makes it think more (above 0) or less (below 0) without training:",
        fenced("python", BIAS.rstrip()),
        "With vLLM, whose endpoint is OpenAI's:",
        fenced("bash", serve_command(inputs, name=name, folder=PurePath(folder).name)),
        fenced("bash", _curl(request)),
        "To force the mode there, begin the answer yourself:",
        fenced("json", json.dumps(_forced(request), indent=2, ensure_ascii=False)),
        f"Where thinkless-flows is installed beside vLLM, `--logits-processors {VLLM_BIAS}` lets every request say how "
        'much to think: `"vllm_xargs": {"think_bias": -2.0}`.',
    ]


def serve_command(inputs: ReportInputs, *, name: str, folder: str) -> str:
    """The command that serves the folder with vLLM, in the precision it was evaluated in."""
    words = ["vllm", "serve", folder, "--served-model-name", name]
    words += ["--dtype", str(stage_config(inputs, "evaluate").get("precision", "float32"))]
    return shlex.join(words + (["--trust-remote-code"] if _trusts_code(inputs) else []))


def _forced(request: Mapping[str, object]) -> dict[str, object]:
    messages = request["messages"]
    assert isinstance(messages, list)
    begun = [*messages, {"role": "assistant", "content": "<short>"}]
    return {**request, "messages": begun, "add_generation_prompt": False, "continue_final_message": True}


def _curl(request: Mapping[str, object]) -> str:
    body = shlex.quote(json.dumps(request, ensure_ascii=False))
    return f"curl http://localhost:8000/v1/chat/completions -H 'Content-Type: application/json' -d {body}"


def _example(inputs: ReportInputs) -> str:
    """A problem as the model was asked it."""
    found = query_pairs(inputs, queries.PAIR_EXAMPLES.format(columns="prompt"))
    return str(found[0][0]) if found else "37+48=?"


def _template(template: str | None) -> list[str]:
    """The prompt format: the chat template itself if it is short."""
    if template is None or len(template) > LONGEST_TEMPLATE:
        return ["The prompt format is in `chat_template.jinja`, beside the weights."]
    return ["The prompt format, `chat_template.jinja`:", fenced("jinja", template.rstrip())]


def _trusts_code(inputs: ReportInputs) -> bool:
    model: JsonValue = stage_config(inputs, "base").get("model")
    return isinstance(model, dict) and model.get("trust_remote_code") is True
