"""SQL behind the report, over the views of evidence.py; every result has a fixed order."""

from __future__ import annotations

SERIES = """
-- one row: one metric at one step (several values of a step, as a resumed run may log them, are averaged)
SELECT name, step, avg(value)
FROM {table}
WHERE value IS NOT NULL AND isfinite(value)
GROUP BY name, step
ORDER BY name, step
"""

ROLLOUT_COUNTS = """
-- one row: one RL step with its rollouts by mode
SELECT step,
       count(*) FILTER (mode = 'think'),
       count(*) FILTER (mode = 'short'),
       count(*) FILTER (mode IS NULL)
FROM rollouts
GROUP BY step
ORDER BY step
"""

P_THINK_BY_DIFFICULTY = """
-- one row: one model at one difficulty, with the spread of P(think) over its problems
WITH problem AS (
    SELECT model, difficulty, benchmark, problem_id, avg(p_think) AS p
    FROM eval_completions
    WHERE difficulty IS NOT NULL AND isfinite(p_think)
    GROUP BY ALL
)
SELECT model, difficulty, count(*), avg(p), quantile_cont(p, 0.1), quantile_cont(p, 0.9)
FROM problem
GROUP BY model, difficulty
ORDER BY model, difficulty
"""

ACCURACY_BY_DIFFICULTY = """
-- one row: one model in one mode at one difficulty; the standard error is over problems
WITH problem AS (
    SELECT model, mode, difficulty, benchmark, problem_id, avg(correct::INTEGER) AS accuracy
    FROM eval_completions
    WHERE difficulty IS NOT NULL
    GROUP BY ALL
)
SELECT model, mode, difficulty, count(*), avg(accuracy),
       coalesce(stddev_samp(accuracy) / sqrt(count(*)), 0)
FROM problem
GROUP BY model, mode, difficulty
ORDER BY model, mode, difficulty
"""

P_THINK_HISTOGRAM = """
-- one row: one model and one of 20 equal bins of P(think), with the problems in it
WITH problem AS (
    SELECT model, benchmark, problem_id, avg(p_think) AS p
    FROM eval_completions
    WHERE isfinite(p_think)
    GROUP BY ALL
)
SELECT model, least(floor(p * 20), 19)::INTEGER AS bin, count(*)
FROM problem
GROUP BY model, bin
ORDER BY model, bin
"""

COMPARISON = """
-- one row: one benchmark; auto against forced think, and against a coin with the same think share, problem by
-- problem (samples of one problem averaged first), model rl
WITH problem AS (
    SELECT benchmark, problem_id,
           avg(correct::INTEGER) FILTER (mode = 'auto') AS auto_accuracy,
           avg(correct::INTEGER) FILTER (mode = 'think') AS think_accuracy,
           avg(correct::INTEGER) FILTER (mode = 'short') AS short_accuracy,
           avg((chosen_mode = 'think')::INTEGER) FILTER (mode = 'auto') AS think_share
    FROM eval_completions
    WHERE model = 'rl'
    GROUP BY ALL
),
complete AS (
    SELECT *, avg(think_share) OVER (PARTITION BY benchmark) AS coin
    FROM problem
    WHERE auto_accuracy IS NOT NULL AND think_accuracy IS NOT NULL AND short_accuracy IS NOT NULL
),
difference AS (
    SELECT benchmark,
           auto_accuracy - think_accuracy AS against_think,
           auto_accuracy - (coin * think_accuracy + (1 - coin) * short_accuracy) AS against_coin,
           think_accuracy - short_accuracy AS need
    FROM complete
)
SELECT benchmark,
       avg(against_think), stddev_samp(against_think) / sqrt(count(*)),
       avg(against_coin), stddev_samp(against_coin) / sqrt(count(*)),
       avg(need), stddev_samp(need) / sqrt(count(*))
FROM difference
GROUP BY benchmark
HAVING count(*) > 1
ORDER BY benchmark
"""

ROUTING = """
-- one row: the problems on which the rl model leans to a short answer (P(think) < 0.5), or to thinking, with
-- its accuracy when forced to answer them short
WITH problem AS (
    SELECT benchmark, problem_id, avg(p_think) AS p, avg(correct::INTEGER) FILTER (mode = 'short') AS accuracy
    FROM eval_completions
    WHERE model = 'rl' AND isfinite(p_think)
    GROUP BY ALL
)
SELECT p >= 0.5 AS leans_to_think, count(*), avg(accuracy), coalesce(stddev_samp(accuracy) / sqrt(count(*)), 0)
FROM problem
WHERE accuracy IS NOT NULL
GROUP BY leans_to_think
ORDER BY leans_to_think
"""

EXAMPLES = """
-- one row: one completion of the rl model for a chosen problem: one problem of every benchmark and difficulty in
-- turn, then up to two more that it got wrong in auto mode; which ones is decided by a hash of the identifier
WITH asked AS (
    SELECT problem_id, benchmark, any_value(difficulty) AS difficulty,
           bool_or(NOT correct) FILTER (mode = 'auto') AS wrong
    FROM eval_completions
    WHERE model = 'rl' AND sample = 0
    GROUP BY problem_id, benchmark
),
numbered AS (
    SELECT *, row_number() OVER (PARTITION BY difficulty ORDER BY md5(problem_id), benchmark) AS turn
    FROM asked
),
spread AS (
    SELECT problem_id, benchmark, false AS picked_as_wrong
    FROM numbered
    ORDER BY turn, difficulty NULLS LAST, md5(problem_id), benchmark
    LIMIT $limit
),
wrong AS (
    SELECT problem_id, benchmark, true AS picked_as_wrong
    FROM asked
    WHERE wrong AND (problem_id, benchmark) NOT IN (SELECT (problem_id, benchmark) FROM spread) AND $limit > 0
    ORDER BY md5(problem_id), benchmark
    LIMIT 2
),
chosen AS (SELECT * FROM spread UNION ALL SELECT * FROM wrong),
problem AS (SELECT problem_id, any_value(prompt) AS prompt, any_value(answer) AS answer FROM problems GROUP BY 1)
SELECT c.benchmark, c.problem_id, e.difficulty, p.prompt, p.answer, c.picked_as_wrong,
       e.mode, e.chosen_mode, e.completion, e.answer, e.correct, e.num_tokens, e.truncated, e.p_think
FROM chosen c
JOIN eval_completions e ON e.problem_id = c.problem_id AND e.benchmark = c.benchmark
LEFT JOIN problem p ON p.problem_id = c.problem_id
WHERE e.model = 'rl' AND e.sample = 0
ORDER BY c.picked_as_wrong, e.difficulty NULLS LAST, c.benchmark, md5(c.problem_id), c.problem_id,
         list_position(['auto', 'short', 'think'], e.mode), e.completion_id
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
-- one row: one difficulty of the pairs
SELECT difficulty, count(*), avg(think_tokens), avg(short_tokens)
FROM pairs
GROUP BY difficulty
ORDER BY difficulty NULLS LAST
"""

PAIR_EXAMPLES = """
-- one row: one pair, chosen by a hash of its identifier, so that a rerun shows the same
SELECT prompt, answer, think_completion, short_completion
FROM pairs
ORDER BY md5(problem_id), problem_id
LIMIT 2
"""
