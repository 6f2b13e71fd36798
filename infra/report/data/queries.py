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

GRADERS = """
-- one row: one model, with its completions counted by the verdicts of both graders
SELECT model, count(*),
       count(*) FILTER (correct AND correct_paper), count(*) FILTER (correct AND NOT correct_paper),
       count(*) FILTER (correct_paper AND NOT correct)
FROM eval_completions
WHERE correct_paper IS NOT NULL
GROUP BY model
ORDER BY list_position(['base', 'sft', 'rl'], model) NULLS LAST, model
"""

DISAGREEMENTS = """
-- one row: one completion on which the graders disagree; the trained model's first, then by a hash of the identifier
WITH problem AS (SELECT problem_id, any_value(prompt) AS prompt, any_value(answer) AS answer FROM problems GROUP BY 1)
SELECT e.model, e.benchmark, e.mode, p.prompt, p.answer, e.completion, e.answer, e.correct
FROM eval_completions e
LEFT JOIN problem p ON p.problem_id = e.problem_id
WHERE e.correct <> e.correct_paper
ORDER BY list_position(['rl', 'sft', 'base'], e.model) NULLS LAST, md5(e.completion_id), e.completion_id
LIMIT $limit
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
