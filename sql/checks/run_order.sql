-- Runs are numbered 1, 2, 3 … without gaps, and at most the last of them is still running.
select run_id, run_number, status
from run
where run_number is null
    or run_number <> (select count(*) from run as other where other.run_number <= run.run_number)
    or (status = 'running' and run_number <> (select max(newest.run_number) from run as newest));
