-- How long the stages of each scan took, wall time in seconds, the share of the scan with them.
create or replace view report.stages as
select
    cast(run.started_at as date) as night,
    stage.run_id,
    stage.stage,
    stage.seconds,
    stage.seconds / nullif(date_diff('millisecond', run.started_at, run.finished_at) / 1000.0, 0) as share
from main.run_stage as stage
join main.run on run.run_id = stage.run_id;
