-- One row: one model of one evaluation in one mode at one level of one task, over the benchmarks whose problems have a
-- task. Samples of one problem are averaged first: the standard errors are over problems. score: partial credit.
with problem as (
    select artifact_key, model, mode, benchmark, task, difficulty, problem_id,
        count(*) as samples,
        avg(correct::integer) as accuracy,
        avg(coalesce(chosen_mode = 'think', false)::integer) as think_share,
        avg(num_tokens) as tokens,
        avg(p_think) filter (isfinite(p_think)) as p_think,
        avg(score) as score
    from eval_completions
    where task is not null
    group by all
)
select model, benchmark, task, difficulty, mode, count(*) as num_problems, sum(samples)::bigint as n,
    avg(accuracy) as accuracy, coalesce(stddev_samp(accuracy) / sqrt(count(*)), 0) as accuracy_stderr,
    avg(think_share) as think_share, coalesce(stddev_samp(think_share) / sqrt(count(*)), 0) as think_share_stderr,
    avg(tokens) as mean_tokens, avg(p_think) as mean_p_think, avg(score) as mean_score, artifact_key
from problem
group by model, benchmark, task, difficulty, mode, artifact_key
