-- One row: one artifact that the evaluation row $completion_id descends from, nearest first, down to the problems
-- and the base model. depth: length of the longest way there (0: the evaluation that holds the row). Only the model
-- that wrote the completion counts, not the others that were evaluated with it.
with recursive origin as (
    select completions.artifact_key as key, completions.model
    from eval_completions as completions
    join artifacts on artifacts.key = completions.artifact_key
    where completions.completion_id = $completion_id
    order by artifacts.created_at desc, artifacts.key
    limit 1
),
walk as (
    select 0 as depth, artifacts.stage, artifacts.key
    from artifacts
    join origin on origin.key = artifacts.key
    union
    select walk.depth + 1, edges.parent_stage, edges.parent_key
    from walk
    join edges on edges.child_key = walk.key
    cross join origin
    where walk.depth > 0 or edges.parent_stage not in ('base', 'sft', 'rl') or edges.parent_stage = origin.model
)
select max(walk.depth) as depth, walk.stage, walk.key, artifacts.rows, artifacts.digest
from walk
left join artifacts on artifacts.key = walk.key
group by all
order by 1, 2, 3
