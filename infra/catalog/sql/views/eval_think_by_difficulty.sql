-- One row: one model of one evaluation at one difficulty, with the spread of P(think) over its problems
-- without a task; a difficulty within a task is a level of eval_by_task.
with problem as (
    select artifact_key, model, difficulty, benchmark, problem_id, avg(p_think) as p
    from eval_completions
    where difficulty is not null and task is null and isfinite(p_think)
    group by all
)
select model, difficulty, count(*) as num_problems, avg(p) as mean, quantile_cont(p, 0.1) as low,
    quantile_cont(p, 0.9) as high, artifact_key
from problem
group by model, difficulty, artifact_key
