-- One row: one step of the problem that $ref names, through the stages. $ref is a problem_id, or the id of one of its
-- generations, rollouts or evaluated completions; then only that one of its table is shown, and all of the others.
-- answers: how many answers the step stands for; correct, tokens: their means.
with asked as (
    select problem_id, 'problems' as place from problems where problem_id = $ref
    union select problem_id, 'generations' from generations where generation_id = $ref
    union select problem_id, 'rollouts' from rollouts where rollout_id = $ref
    union select problem_id, 'eval_completions' from eval_completions where completion_id = $ref
),
step as (
    select 1 as number, 'problems' as stage, artifact_key, split || coalesce(' of ' || benchmark, '') as what,
        null as answers, null as correct, null as tokens, prompt || ' -> ' || answer as text
    from problems where problem_id in (select problem_id from asked)
    union all
    select 2, 'teach', artifact_key, mode || if(truncated, ', cut', ''), 1, correct::integer, num_tokens, completion
    from generations
    where problem_id in (select problem_id from asked)
        and (generation_id = $ref or not exists (from asked where place = 'generations'))
    union all
    select 3, 'pairs', artifact_key, split, null, null, think_tokens + short_tokens,
        think_completion || ' | ' || short_completion
    from pairs where problem_id in (select problem_id from asked)
    union all
    select 4, 'rl', artifact_key,
        coalesce(mode, 'malformed') || if(count(*) = 1, ', step ', ', steps ') || min(step)
            || if(count(*) = 1, '', ' to ' || max(step)),
        count(*), avg(correct::integer), avg(num_tokens), arg_max(completion, step)
    from rollouts
    where problem_id in (select problem_id from asked)
        and (rollout_id = $ref or not exists (from asked where place = 'rollouts'))
    group by artifact_key, mode
    union all
    select 5, 'evaluate', artifact_key, model || ' ' || mode || coalesce(', chose ' || chosen_mode, ''),
        count(*), avg(correct::integer), avg(num_tokens), any_value(completion)
    from eval_completions
    where problem_id in (select problem_id from asked)
        and (completion_id = $ref or not exists (from asked where place = 'eval_completions'))
    group by artifact_key, model, mode, chosen_mode
)
select stage, artifact_key, what, answers, round(correct, 2) as correct, round(tokens, 1) as tokens, text
from step
order by number, artifact_key, what
