-- One row: one router (as in table eval_routers) for one model of one evaluation on one benchmark, at one level of one
-- task; n: problems asked in all three modes. Routers random and task choose as in eval_routers, so that rows add up to
-- its rows if every problem has a task: random by the coin of the benchmark, task one mode for all levels of a task.
with problem as (
    select artifact_key, model, benchmark, task, difficulty, problem_id,
        avg(correct::integer) filter (mode = 'auto') as auto_accuracy,
        avg(correct::integer) filter (mode = 'short') as short_accuracy,
        avg(correct::integer) filter (mode = 'think') as think_accuracy,
        avg(num_tokens) filter (mode = 'auto') as auto_tokens,
        avg(num_tokens) filter (mode = 'short') as short_tokens,
        avg(num_tokens) filter (mode = 'think') as think_tokens,
        avg(coalesce(chosen_mode = 'think', false)::integer) filter (mode = 'auto') as think_share,
        avg(p_think) as p_think
    from eval_completions
    where task is not null
    group by all
    having auto_accuracy is not null and short_accuracy is not null and think_accuracy is not null
),
-- Means that are equal may differ in their last digit as sums.
compared as (
    select *, avg(think_share) over (partition by artifact_key, model, benchmark) as coin,
        round(think_accuracy - short_accuracy, 9) as gain, short_tokens - think_tokens as saved,
        round(avg(think_accuracy - short_accuracy) over of_task, 9) as task_gain,
        round(avg(short_tokens - think_tokens) over of_task, 9) as task_saved,
        round(avg(think_accuracy - short_accuracy) over of_level, 9) as level_gain,
        round(avg(short_tokens - think_tokens) over of_level, 9) as level_saved
    from problem
    window of_task as (partition by artifact_key, model, benchmark, task),
        of_level as (partition by artifact_key, model, benchmark, task, difficulty)
),
cut as (
    select artifact_key, model, benchmark, threshold from eval_routers where router = 'threshold'
),
choice as (
    select compared.*,
        unnest(['auto', 'short', 'think', 'oracle', 'random', 'task', 'task-level', 'threshold']) as router,
        unnest([
            think_share, 0, 1, (gain > 0 or (gain = 0 and saved > 0))::integer, coin,
            (task_gain > 0 or (task_gain = 0 and task_saved > 0))::integer,
            (level_gain > 0 or (level_gain = 0 and level_saved > 0))::integer,
            (p_think > cut.threshold)::integer
        ]) as thinks
    from compared left join cut using (artifact_key, model, benchmark)
),
outcome as (
    select artifact_key, model, benchmark, task, difficulty, router, thinks,
        if(router = 'auto', auto_accuracy, short_accuracy + thinks * (think_accuracy - short_accuracy)) as accuracy,
        if(router = 'auto', auto_tokens, short_tokens + thinks * (think_tokens - short_tokens)) as tokens
    from choice
    where thinks is not null
)
select model, benchmark, task, difficulty, router, count(*) as n,
    avg(accuracy) as accuracy, coalesce(stddev_samp(accuracy) / sqrt(count(*)), 0) as accuracy_stderr,
    avg(thinks) as think_share,
    avg(tokens) as mean_tokens, coalesce(stddev_samp(tokens) / sqrt(count(*)), 0) as mean_tokens_stderr, artifact_key
from outcome
group by model, benchmark, task, difficulty, router, artifact_key
