-- One row: one evaluation, model, benchmark, task, difficulty (both null where the source knows none) and mode; a
-- difficulty within a task is its level. n: completions, several of one problem counted each.
select artifacts.run_id, completions.model, completions.benchmark, completions.task, completions.difficulty, completions.mode,
    count(*) as n,
    avg(completions.correct::integer) as accuracy,
    avg(completions.correct_paper::integer) as accuracy_paper,
    avg(coalesce(completions.chosen_mode = 'think', false)::integer) as think_share,
    avg(completions.p_think) as mean_p_think,
    avg(completions.num_tokens) as mean_tokens,
    completions.artifact_key
from eval_completions as completions
join artifacts on artifacts.key = completions.artifact_key
group by all
