-- One row: one pair, in the order of the problems; a problem with a fault of $dropping on either side has none.
-- Pairs whose number, counted from 0, stands in `held_out` are for validation. Token counts are those of generating.
-- All of it streams (a list, where a subquery would gather the rows first), so that a row's number is its place.
with kept as (
    select *, row_number() over () - 1 as number
    from paired_generations
    where not coalesce(list_contains($dropping, think_fault), false)
      and not coalesce(list_contains($dropping, short_fault), false)
)
select
    problem_id,
    prompt,
    answer,
    think_completion,
    short_completion,
    think_tokens,
    short_tokens,
    think_truncated,
    short_truncated,
    case when number in (from held_out) then 'validation' else 'train' end as split,
    difficulty
from kept
