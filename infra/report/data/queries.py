"""SQL behind the report, over the tables and views of data/in_memory_tables.py; every result has a fixed order.

What only follows from stored rows is a view of the catalog (infra/catalog/sql/views), so that `thinkless sql` answers
with the numbers of the report; here is what a page alone needs.
"""

from __future__ import annotations

SERIES = """
-- one row: one metric at one step (several values of a step, as a resumed run may log them, are averaged)
SELECT name, step, avg(value)
FROM {table}
WHERE value IS NOT NULL AND isfinite(value)
GROUP BY name, step
ORDER BY name, step
"""

DISAGREEMENTS = """
-- one row: one completion on which the graders disagree; the trained model's first, then by a hash of the identifier
WITH chosen AS (
    SELECT *
    FROM eval_completions
    WHERE correct <> correct_paper
    ORDER BY list_position(['rl', 'sft', 'base'], model) NULLS LAST, md5(completion_id), completion_id
    LIMIT $limit
),
problem AS (
    SELECT problem_id, any_value(prompt) AS prompt, any_value(answer) AS answer
    FROM problems
    SEMI JOIN chosen USING (problem_id)
    GROUP BY 1
)
SELECT e.model, e.benchmark, e.mode, p.prompt, p.answer, e.completion, e.answer, e.correct
FROM chosen e
LEFT JOIN problem p ON p.problem_id = e.problem_id
ORDER BY list_position(['rl', 'sft', 'base'], e.model) NULLS LAST, md5(e.completion_id), e.completion_id
"""

_ORDER_OF_DROPPED = """
ORDER BY list_position(['problems', 'teach-think', 'teach-short', 'pairs', 'sft'], stage) NULLS LAST,
         stage, reason, problem_id, source, prompt, detail
"""

DROPPED_ROWS = f"""
-- one row: one row that a stage left out, in the order of the stages, then of the columns
SELECT stage, reason, problem_id, source, prompt, detail
FROM dropped
{_ORDER_OF_DROPPED}
"""

FIRST_DROPPED_ROWS = f"""
-- one row: the same, but the first ones of each reason only, with long texts cut
SELECT stage, reason, problem_id, source,
       CASE WHEN length(prompt) > $length THEN left(prompt, $length) || ' …' ELSE prompt END,
       CASE WHEN length(detail) > $length THEN left(detail, $length) || ' …' ELSE detail END
FROM dropped
QUALIFY row_number() OVER (PARTITION BY stage, reason ORDER BY problem_id, source, prompt, detail) <= $most
{_ORDER_OF_DROPPED}
"""

PAIR_COUNTS = """
-- one row: one split of the pairs
SELECT split, count(*), avg(think_tokens), avg(short_tokens),
       avg(think_truncated::INTEGER), avg(short_truncated::INTEGER)
FROM pairs
GROUP BY split
ORDER BY split
"""

PAIR_DIFFICULTIES = """
-- one row: one difficulty of the pairs, within its task if their problems have one
WITH problem AS (SELECT problem_id, any_value(task) AS task FROM problems GROUP BY 1)
SELECT task, difficulty, count(*), avg(think_tokens), avg(short_tokens)
FROM pairs
LEFT JOIN problem USING (problem_id)
GROUP BY task, difficulty
ORDER BY task NULLS LAST, difficulty NULLS LAST
"""

PAIR_EXAMPLES = """
-- one row: one pair with all its columns, chosen by a hash of its identifier, so that a rerun shows the same
SELECT {columns}
FROM pairs
ORDER BY md5(problem_id), problem_id
LIMIT 2
"""

WORKED_EXAMPLES = """
-- one row: for each mode that a model chose, a completion of the benchmark of which it solves most: the first in the
-- order of a hash, right or wrong
WITH answers AS (
    SELECT completion_id, problem_id, chosen_mode, avg(correct::INTEGER) OVER (PARTITION BY benchmark) AS solved
    FROM eval_completions
    WHERE model = $model AND mode = 'auto' AND chosen_mode IS NOT NULL
),
chosen AS (
    SELECT completion_id, problem_id
    FROM answers
    SEMI JOIN problems USING (problem_id)
    QUALIFY row_number() OVER (PARTITION BY chosen_mode ORDER BY solved DESC, md5(completion_id), completion_id) = 1
),
problem AS (
    SELECT problem_id, any_value(prompt) AS prompt, any_value(answer) AS answer
    FROM problems
    SEMI JOIN chosen USING (problem_id)
    GROUP BY 1
)
SELECT p.prompt, p.answer, e.benchmark, e.chosen_mode, e.completion, e.correct, e.num_tokens, e.p_think
FROM eval_completions e
SEMI JOIN chosen USING (completion_id)
JOIN problem p ON p.problem_id = e.problem_id
ORDER BY e.chosen_mode
"""
