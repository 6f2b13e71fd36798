-- One row: one reason why one warm-up problem has no pair, in the order of the problems, with the problem's row in its file.
-- A problem without an answer of a teacher has that one reason; another one has a reason for each side with a fault of
-- $dropping, think first. Of an incorrect answer `detail` is what stands before the answer that was expected.
with reasons as (
    select
        *,
        unnest(
            case
                when think_fault = 'missing' or short_fault = 'missing' then ['missing_side']
                else list_concat(
                    case when list_contains($dropping, think_fault) then ['think_' || think_fault || '_dropped'] end,
                    case when list_contains($dropping, short_fault) then ['short_' || short_fault || '_dropped'] end
                )
            end
        ) as reason
    from paired_generations
)
select
    problem_row,
    reason,
    case reason
        when 'missing_side' then concat_ws(
            ' and ',
            case when think_fault = 'missing' then 'no think answer' end,
            case when short_fault = 'missing' then 'no short answer' end
        )
        when 'think_truncated_dropped' then 'the think answer was cut off after ' || think_tokens || ' tokens'
        when 'short_truncated_dropped' then 'the short answer was cut off after ' || short_tokens || ' tokens'
        when 'think_incorrect_dropped' then 'the think answer is not '
        when 'short_incorrect_dropped' then 'the short answer is not '
    end as detail,
    ends_with(reason, '_incorrect_dropped') as expects_answer
from reasons
