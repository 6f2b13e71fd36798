-- One row: one accuracy-token curve with its area over its own tokens, which has the unit of an accuracy.
-- The area is the mean of A(t), the best accuracy for t tokens a problem, from the cheapest to the dearest point:
-- points in the order of their tokens, the best accuracy so far, straight lines between neighbours.
with best as (
    select run_id, artifact_key, model, benchmark, mean_tokens,
        max(max(accuracy)) over (partition by artifact_key, model, benchmark order by mean_tokens) as accuracy
    from eval_pareto
    group by run_id, artifact_key, model, benchmark, mean_tokens
),
segments as (
    select *, mean_tokens - lag(mean_tokens) over along as width,
        (accuracy + lag(accuracy) over along) / 2 as height
    from best
    window along as (partition by artifact_key, model, benchmark order by mean_tokens)
)
select run_id, model, benchmark, coalesce(sum(width * height) / nullif(sum(width), 0), max(accuracy)) as area,
    min(mean_tokens) as low_tokens, max(mean_tokens) as high_tokens, artifact_key
from segments
group by run_id, model, benchmark, artifact_key
