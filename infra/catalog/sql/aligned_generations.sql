-- One row: one warm-up problem's generation, in the order of `problems`; all null for a problem that has none.
-- Of two generations of one problem the last in `unaligned` counts.
with numbered as (
    select problem_id, row_number() over () as position
    from problems
)
select unaligned.problem_id, unaligned.completion, unaligned.num_tokens, unaligned.truncated, unaligned.correct
from numbered
left join unaligned on unaligned.problem_id = numbered.problem_id
qualify row_number() over (partition by numbered.position order by unaligned.file_row_number desc) = 1
order by numbered.position
