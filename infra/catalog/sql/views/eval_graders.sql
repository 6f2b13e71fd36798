-- One row: one model of one evaluation, its completions counted by what both graders say (strict, and the reference
-- code's lenient rules); completions from before the lenient one was stored do not count.
select model, count(*) as num_completions,
    count(*) filter (correct and correct_paper) as both_right,
    count(*) filter (correct and not correct_paper) as only_strict,
    count(*) filter (correct_paper and not correct) as only_lenient,
    artifact_key
from eval_completions
where correct_paper is not null
group by model, artifact_key
