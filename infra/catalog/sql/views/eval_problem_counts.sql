-- One row: one benchmark of one evaluation, with its problems and the samples of each in every cell of the result table.
select benchmark, count(distinct problem_id) as num_problems, count(distinct sample) as num_samples, artifact_key
from eval_completions
group by benchmark, artifact_key
