-- One row: one warm-up problem, with its row in the file of problems and those of its generations in theirs, counted from 0.
-- think_fault, short_fault: why that side may be no use (missing, truncated or incorrect), null if nothing is wrong.
-- Of two generations of one problem the last counts; code is four times its row, and its fault as 0, 1 or 2.
-- The rows are in the order of the problems. No text is read, so that the join is small and the order of the rows does not matter.
with last_think as (
    select
        problem_id,
        max(4 * file_row_number + case when truncated then 1 when not correct then 2 else 0 end) as code,
        arg_max(num_tokens, file_row_number) as num_tokens
    from think
    group by problem_id
),
last_short as (
    select
        problem_id,
        max(4 * file_row_number + case when truncated then 1 when not correct then 2 else 0 end) as code,
        arg_max(num_tokens, file_row_number) as num_tokens
    from short
    group by problem_id
)
select
    problems.file_row_number as problem_row,
    last_think.code // 4 as think_row,
    last_short.code // 4 as short_row,
    last_think.num_tokens as think_tokens,
    last_short.num_tokens as short_tokens,
    case
        when last_think.code is null then 'missing'
        when last_think.code % 4 = 1 then 'truncated'
        when last_think.code % 4 = 2 then 'incorrect'
    end as think_fault,
    case
        when last_short.code is null then 'missing'
        when last_short.code % 4 = 1 then 'truncated'
        when last_short.code % 4 = 2 then 'incorrect'
    end as short_fault
from problems
left join last_think on last_think.problem_id = problems.problem_id
left join last_short on last_short.problem_id = problems.problem_id
order by problem_row
