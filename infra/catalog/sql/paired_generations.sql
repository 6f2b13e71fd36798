-- One row: one warm-up problem, in the order of `problems`, with what both teachers wrote about it.
-- think_fault, short_fault: why that side may be no use (missing, truncated or incorrect), null where nothing is wrong.
-- The three tables are laid side by side, row by row: that needs no memory, and is right where `think` and `short` have
-- the rows of `problems` in its order, which is how stage `teach` writes them. Where they have not, sides are `missing`.
select
    problems.problem_id,
    problems.prompt,
    problems.answer,
    problems.difficulty,
    problems.source,
    think.completion as think_completion,
    short.completion as short_completion,
    think.num_tokens as think_tokens,
    short.num_tokens as short_tokens,
    think.truncated as think_truncated,
    short.truncated as short_truncated,
    case
        when think.problem_id is null or think.problem_id is distinct from problems.problem_id then 'missing'
        when think.truncated then 'truncated'
        when not think.correct then 'incorrect'
    end as think_fault,
    case
        when short.problem_id is null or short.problem_id is distinct from problems.problem_id then 'missing'
        when short.truncated then 'truncated'
        when not short.correct then 'incorrect'
    end as short_fault
from problems
positional join think
positional join short
