-- One row: one artifact on the walk from $key, up to what it was made from or down ($down) to what was made from it, as
-- reached from one other; the first row is $key itself. depth: steps from $key. from_*: the artifact one step nearer to
-- $key. rebuilt_since: whether the parent of the edge holds other bytes today than those its child was given. kept: the
-- parent was taken although its sources had changed. digest is null for an artifact that is no longer there.
with recursive directed as (
    select child_stage as from_stage, child_key as from_key, parent_stage as stage, parent_key as key,
        parent_key, parent_digest, kept
    from edges where not $down
    union all
    select parent_stage, parent_key, child_stage, child_key, parent_key, parent_digest, kept
    from edges where $down
),
walk as (
    select
        0 as depth,
        cast(null as varchar) as from_stage,
        cast(null as varchar) as from_key,
        stage,
        key,
        cast(null as varchar) as parent_key,
        cast(null as varchar) as consumed_digest,
        false as kept
    from artifacts
    where key = $key
    union
    select walk.depth + 1, directed.from_stage, directed.from_key, directed.stage, directed.key, directed.parent_key,
        directed.parent_digest, directed.kept
    from walk
    join directed on directed.from_key = walk.key
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
    coalesce(walk.consumed_digest <> parent.digest, false) as rebuilt_since,
    walk.kept,
    coalesce(artifacts.label, walk.stage) as label
from walk
left join artifacts on artifacts.key = walk.key
left join artifacts as parent on parent.key = walk.parent_key
order by walk.depth, walk.from_stage, walk.from_key, walk.stage, walk.key
