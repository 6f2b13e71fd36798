-- One row: the problems of one evaluation on which one model leans to a short answer (P(think) < 0.5), or to thinking,
-- with its accuracy when forced to answer them short; the standard error is over problems.
with problem as (
    select artifact_key, model, benchmark, problem_id, avg(p_think) as p,
        avg(correct::integer) filter (mode = 'short') as accuracy
    from eval_completions
    where isfinite(p_think)
    group by all
)
select model, p >= 0.5 as leans_to_think, count(*) as num_problems, avg(accuracy) as short_accuracy,
    coalesce(stddev_samp(accuracy) / sqrt(count(*)), 0) as stderr, artifact_key
from problem
where accuracy is not null
group by model, leans_to_think, artifact_key
