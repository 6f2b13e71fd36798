-- One row: one combination of what is wrong with the think side and with the short side, and how many problems have it.
select think_fault, short_fault, count(*) as num_problems
from paired_generations
group by think_fault, short_fault
order by think_fault nulls first, short_fault nulls first
