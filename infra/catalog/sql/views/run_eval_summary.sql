-- One row: one cell of the result table of one run, also of a run that found its evaluation in the store.
select used.run_id, eval_summary.* exclude (run_id)
from eval_summary
join run_artifacts as used on used.key = eval_summary.artifact_key
