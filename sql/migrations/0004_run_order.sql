-- Runs are numbered in the order in which they began: clocks jump, and what is newest must not depend on them.

alter table run add column run_number integer;

update run
set run_number = numbered.run_number
from (select run_id, row_number() over (order by started_at, run_id) as run_number from run) as numbered
where run.run_id = numbered.run_id;
