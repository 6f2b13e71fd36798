"""SQL behind the browser of examples, over the views of in_memory_tables.py; every result has a fixed order."""

from __future__ import annotations

HELD_OUT = """
-- one row: one completion of one model for a held-out problem. `rank` 0 are the first problems, of every benchmark and
-- difficulty in turn, and within a difficulty of every task; 1 up to two more of which it got a sample wrong in auto
-- mode, with that sample; 2 all others. Which ones is decided by a hash of the identifier
WITH asked AS (
    SELECT problem_id, benchmark, any_value(task) AS task, any_value(difficulty) AS difficulty,
           min(sample) FILTER (mode = 'auto' AND NOT correct) AS wrong_sample
    FROM eval_completions
    WHERE model = $model
    GROUP BY problem_id, benchmark
),
counted AS (
    SELECT *, row_number() OVER (PARTITION BY task, difficulty ORDER BY md5(problem_id), benchmark) AS of_task
    FROM asked
),
numbered AS (
    SELECT *, row_number() OVER (PARTITION BY difficulty ORDER BY of_task, md5(problem_id), benchmark) AS turn
    FROM counted
),
placed AS (
    SELECT *, row_number() OVER (ORDER BY turn, difficulty NULLS LAST, md5(problem_id), benchmark) AS place
    FROM numbered
),
late_wrong AS (
    SELECT problem_id, benchmark
    FROM placed
    WHERE wrong_sample IS NOT NULL AND place > $first
    ORDER BY md5(problem_id), benchmark
    LIMIT 2
),
chosen AS (
    SELECT p.*, CASE WHEN p.place <= $first THEN 0 WHEN w.problem_id IS NOT NULL THEN 1 ELSE 2 END AS rank
    FROM placed p
    LEFT JOIN late_wrong w ON w.problem_id = p.problem_id AND w.benchmark = p.benchmark
    WHERE p.place <= $most OR w.problem_id IS NOT NULL
),
outcome AS (
    SELECT problem_id, benchmark, mode, count(*) FILTER (correct) AS num_right, count(*) AS num_samples
    FROM eval_completions
    WHERE model = $model
    GROUP BY ALL
),
problem AS (
    SELECT problem_id, any_value(prompt) AS prompt, any_value(answer) AS answer
    FROM problems
    SEMI JOIN chosen USING (problem_id)
    GROUP BY 1
)
SELECT c.benchmark, c.problem_id, c.rank, c.task, c.difficulty, coalesce(p.prompt, c.problem_id), p.answer,
       e.p_think, e.mode, e.chosen_mode, e.completion, e.answer, e.correct, e.correct_paper, e.num_tokens,
       e.truncated, e.fake_short, o.num_right, o.num_samples
FROM chosen c
JOIN eval_completions e ON e.problem_id = c.problem_id AND e.benchmark = c.benchmark
JOIN outcome o ON o.problem_id = c.problem_id AND o.benchmark = c.benchmark AND o.mode = e.mode
LEFT JOIN problem p ON p.problem_id = c.problem_id
WHERE e.model = $model AND e.sample = CASE WHEN c.rank = 1 THEN c.wrong_sample ELSE 0 END
ORDER BY c.rank, CASE WHEN c.rank < 2 THEN c.difficulty END NULLS LAST, c.place,
         list_position(['auto', 'short', 'think'], e.mode), e.completion_id
"""

TAUGHT = """
-- one row: one pair of the warm-up, difficulties in turn, and within a difficulty tasks, chosen by a hash of the
-- identifier; verdict and teacher of either side come from the generation with the same text, null if there is none.
-- Texts are read of the chosen pairs alone
WITH problem AS (SELECT problem_id, any_value(task) AS task FROM problems GROUP BY 1),
counted AS (
    SELECT problem_id, difficulty, task,
           row_number() OVER (PARTITION BY task, difficulty ORDER BY md5(problem_id), problem_id) AS of_task
    FROM pairs
    LEFT JOIN problem USING (problem_id)
),
numbered AS (
    SELECT *, row_number() OVER (PARTITION BY difficulty ORDER BY of_task, md5(problem_id), problem_id) AS turn
    FROM counted
),
chosen AS (
    SELECT problem_id, task, turn
    FROM numbered
    ORDER BY turn, difficulty NULLS LAST, md5(problem_id), problem_id
    LIMIT $most
),
side AS (
    SELECT problem_id, mode, completion, any_value(correct) AS correct, any_value(teacher) AS teacher
    FROM generations
    SEMI JOIN chosen USING (problem_id)
    GROUP BY problem_id, mode, completion
)
SELECT p.split, c.task, p.difficulty, p.prompt, p.answer,
       p.think_completion, p.think_tokens, p.think_truncated, t.correct, t.teacher,
       p.short_completion, p.short_tokens, p.short_truncated, s.correct, s.teacher
FROM pairs p
JOIN chosen c USING (problem_id)
LEFT JOIN side t ON t.problem_id = p.problem_id AND t.mode = 'think' AND t.completion = p.think_completion
LEFT JOIN side s ON s.problem_id = p.problem_id AND s.mode = 'short' AND s.completion = p.short_completion
ORDER BY c.turn, p.difficulty NULLS LAST, md5(p.problem_id), p.problem_id
"""
