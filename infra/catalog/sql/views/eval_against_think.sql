-- One row: the rl model of one evaluation on one benchmark, its accuracy in mode auto less that of one model (other) forced
-- to think, compared problem by problem (samples of one problem averaged first); the standard error is over problems. One
-- problem alone has no row.
with problem as (
    select artifact_key, model, benchmark, mode, problem_id, avg(correct::integer) as accuracy
    from eval_completions
    where mode = 'think' or (model = 'rl' and mode = 'auto')
    group by all
)
select other.model as other, benchmark, count(*) as num_problems,
    avg(auto.accuracy - other.accuracy) as difference,
    stddev_samp(auto.accuracy - other.accuracy) / sqrt(count(*)) as difference_stderr,
    avg(other.accuracy) as other_accuracy, artifact_key
from problem as auto
join problem as other using (artifact_key, benchmark, problem_id)
where auto.mode = 'auto' and other.mode = 'think'
group by other.model, benchmark, artifact_key
having count(*) > 1
