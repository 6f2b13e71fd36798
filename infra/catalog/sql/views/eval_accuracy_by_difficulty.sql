-- One row: one model of one evaluation in one mode at one difficulty, over problems without a task
-- (eval_by_task has the others); the standard error is over problems.
with problem as (
    select artifact_key, model, mode, difficulty, benchmark, problem_id, avg(correct::integer) as accuracy
    from eval_completions
    where difficulty is not null and task is null
    group by all
)
select model, mode, difficulty, count(*) as num_problems, avg(accuracy) as accuracy,
    coalesce(stddev_samp(accuracy) / sqrt(count(*)), 0) as stderr, artifact_key
from problem
group by model, mode, difficulty, artifact_key
