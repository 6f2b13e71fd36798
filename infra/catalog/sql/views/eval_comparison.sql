-- One row: one model of one evaluation on one benchmark; its accuracy in mode auto, compared problem by problem
-- (samples of one problem averaged first). against_think: less forced think. against_coin: less what choosing the mode
-- by a coin with the same think share achieves. need: forced think less forced short. One problem alone has no row.
with problem as (
    select artifact_key, model, benchmark, problem_id,
        avg(correct::integer) filter (mode = 'auto') as auto_accuracy,
        avg(correct::integer) filter (mode = 'think') as think_accuracy,
        avg(correct::integer) filter (mode = 'short') as short_accuracy,
        avg((chosen_mode = 'think')::integer) filter (mode = 'auto') as think_share
    from eval_completions
    group by all
),
complete as (
    select *, avg(think_share) over (partition by artifact_key, model, benchmark) as coin
    from problem
    where auto_accuracy is not null and think_accuracy is not null and short_accuracy is not null
),
difference as (
    select artifact_key, model, benchmark,
        auto_accuracy - think_accuracy as against_think,
        auto_accuracy - (coin * think_accuracy + (1 - coin) * short_accuracy) as against_coin,
        think_accuracy - short_accuracy as need
    from complete
)
select model, benchmark, count(*) as num_problems,
    avg(against_think) as against_think, stddev_samp(against_think) / sqrt(count(*)) as against_think_stderr,
    avg(against_coin) as against_coin, stddev_samp(against_coin) / sqrt(count(*)) as against_coin_stderr,
    avg(need) as need, stddev_samp(need) / sqrt(count(*)) as need_stderr,
    artifact_key
from difference
group by model, benchmark, artifact_key
having count(*) > 1
