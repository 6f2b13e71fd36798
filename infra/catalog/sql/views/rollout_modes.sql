-- One row: one RL step, with its rollouts counted by mode.
select step,
    count(*) filter (mode = 'think') as think,
    count(*) filter (mode = 'short') as short,
    count(*) filter (mode is null) as malformed,
    artifact_key
from rollouts
group by step, artifact_key
