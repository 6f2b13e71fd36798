-- One row: one model on one benchmark in one mode of the evaluations $first and $second; accuracy and generated tokens of
-- both, and second less first with 95% intervals. Paired by problem (samples of one averaged first): problems that only
-- one of the two has do not count. One problem alone has no interval.
with problem as (
    select artifact_key, benchmark, model, mode, problem_id,
        avg(correct::integer) as accuracy, avg(num_tokens) as tokens, avg((chosen_mode = 'think')::integer) as thinks
    from eval_completions
    where artifact_key in ($first, $second)
    group by all
),
matched as (
    select one.benchmark, one.model, one.mode, one.accuracy as accuracy_1, two.accuracy as accuracy_2,
        one.tokens as tokens_1, two.tokens as tokens_2, one.thinks as thinks_1, two.thinks as thinks_2
    from problem as one
    join problem as two using (benchmark, model, mode, problem_id)
    where one.artifact_key = $first and two.artifact_key = $second
),
measured as (
    select benchmark, model, mode, count(*) as problems,
        avg(accuracy_1) as accuracy_1, avg(accuracy_2) as accuracy_2, avg(accuracy_2 - accuracy_1) as accuracy_gain,
        1.96 * stddev_samp(accuracy_2 - accuracy_1) / sqrt(count(*)) as accuracy_margin,
        avg(tokens_1) as tokens_1, avg(tokens_2) as tokens_2, avg(tokens_2 - tokens_1) as tokens_gain,
        1.96 * stddev_samp(tokens_2 - tokens_1) / sqrt(count(*)) as tokens_margin,
        avg(thinks_1) as thinks_1, avg(thinks_2) as thinks_2
    from matched
    group by all
)
select benchmark, model, mode, problems,
    round(accuracy_1, 3) as accuracy_1, round(accuracy_2, 3) as accuracy_2,
    printf('%+.3f (%+.3f to %+.3f)', accuracy_gain, accuracy_gain - accuracy_margin, accuracy_gain + accuracy_margin)
        as accuracy_difference,
    round(tokens_1, 1) as tokens_1, round(tokens_2, 1) as tokens_2,
    printf('%+.1f (%+.1f to %+.1f)', tokens_gain, tokens_gain - tokens_margin, tokens_gain + tokens_margin)
        as tokens_difference,
    round(thinks_1, 2) as thinks_1, round(thinks_2, 2) as thinks_2
from measured
order by benchmark, model, mode
