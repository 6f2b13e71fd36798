-- One row: one artifact that $key was made from, as one other artifact took it in; the first row is $key itself.
-- kept: the parent of the edge was taken although its sources had changed.
-- depth: steps up from $key. from_*: the artifact one step nearer to $key. rebuilt_since: whether the parent holds
-- other bytes today than those its child was given. digest is null for an artifact that is no longer there.
with recursive walk as (
    select
        0 as depth,
        cast(null as varchar) as from_stage,
        cast(null as varchar) as from_key,
        stage,
        key,
        cast(null as varchar) as consumed_digest,
        false as kept
    from artifacts
    where key = $key
    union
    select walk.depth + 1, edges.child_stage, edges.child_key, edges.parent_stage, edges.parent_key,
        edges.parent_digest, edges.kept
    from walk
    join edges on edges.child_key = walk.key
)
select
    walk.depth,
    walk.from_stage,
    walk.from_key,
    walk.stage,
    walk.key,
    artifacts.digest,
    artifacts.rows,
    artifacts.created_at,
    artifacts.run_id,
    coalesce(walk.consumed_digest <> artifacts.digest, false) as rebuilt_since,
    walk.kept
from walk
left join artifacts on artifacts.key = walk.key
order by walk.depth, walk.from_stage, walk.from_key, walk.stage, walk.key
