-- One row: one model of one evaluation in mode auto on one benchmark, at one level of one task (null where the source
-- knows none): problems by how many of their samples are wrong, and the wrong completions by what is the matter with them.
with problem as (
    select artifact_key, model, benchmark, task, difficulty, problem_id, count(*) as samples,
        count(*) filter (not correct) as wrong,
        count(*) filter (not correct and truncated) as truncated,
        count(*) filter (not correct and chosen_mode = 'short') as short
    from eval_completions
    where mode = 'auto'
    group by all
)
select model, benchmark, task, difficulty, count(*) as num_problems, sum(samples)::bigint as num_completions,
    sum(wrong)::bigint as wrong, count(*) filter (wrong = samples) as always_wrong,
    count(*) filter (wrong between 1 and samples - 1) as sometimes_wrong,
    sum(short)::bigint as wrong_short, sum(truncated)::bigint as wrong_truncated, artifact_key
from problem
group by model, benchmark, task, difficulty, artifact_key
