-- One row: one model of one evaluation and one of 20 equal bins of P(think), with the problems in it.
with problem as (
    select artifact_key, model, benchmark, problem_id, avg(p_think) as p
    from eval_completions
    where isfinite(p_think)
    group by all
)
select model, least(floor(p * 20), 19)::integer as bin, count(*) as num_problems, artifact_key
from problem
group by model, bin, artifact_key
