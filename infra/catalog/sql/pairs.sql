-- One row: one pair, in the order of the problems, as the rows of the three files that it is made of.
-- A problem with a fault of $dropping on either side has none, nor has one that lacks a side.
select problem_row, think_row, short_row
from paired_generations
where think_row is not null
  and short_row is not null
  and not coalesce(list_contains($dropping, think_fault), false)
  and not coalesce(list_contains($dropping, short_fault), false)
