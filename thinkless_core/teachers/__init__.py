"""Teachers: who answers each problem at length, and who briefly.

problems -> Teacher.answer(mode) -> TeacherReplies -> Generations (control token put in front, answer graded)
A teacher returns the text AFTER the control token; a think answer is `reasoning</think>value`.
One file per teacher, and two for all of them: `reasoning.py` (what a model wrote -> that text) and `asking.py`.
"""

from thinkless_core.teachers.asking import DroppedAnswer, SampleRules, ask_teacher, build_teacher
from thinkless_core.teachers.chains import ChainTeacher
from thinkless_core.teachers.chat import ChatTeacher
from thinkless_core.teachers.local_model import LocalModelTeacher
from thinkless_core.teachers.recorded_source import RecordedSourceTeacher
from thinkless_core.teachers.recordings import RecordingTeacher
from thinkless_core.teachers.reply import Teacher, TeacherReply, UnusableReply
from thinkless_core.teachers.vllm_engine import VllmEngineTeacher

__all__ = [
    "ChainTeacher",
    "ChatTeacher",
    "DroppedAnswer",
    "LocalModelTeacher",
    "RecordedSourceTeacher",
    "RecordingTeacher",
    "SampleRules",
    "Teacher",
    "TeacherReply",
    "UnusableReply",
    "VllmEngineTeacher",
    "ask_teacher",
    "build_teacher",
]
