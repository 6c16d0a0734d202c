-- name: insert_run
-- Begin a run.
insert into run (
    run_id, command, status, started_at, finished_at, version, host, process_id, arguments, error, run_number
)
select
    $run_id,
    $command,
    'running',
    $started_at,
    null,
    $version,
    $host,
    $process_id,
    $arguments,
    null,
    coalesce(max(run.run_number), 0) + 1
from run;

-- name: finish_run
-- End a run: done, failed or interrupted.
update run
set status = $status, finished_at = $finished_at, error = $error
where run_id = $run_id;

-- name: interrupt_stale_runs
-- The lock is ours, so a run that still says it is running was killed.
update run
set status = 'interrupted', finished_at = $finished_at
where status = 'running' and run_id <> $run_id;

-- name: list_runs
-- The runs, newest first.
select run_id, command, status, started_at, finished_at, version, host, error
from run
order by run_number desc;

-- name: list_run_ids
-- The runs that a ledger knows, in order.
select run_id
from run
order by run_id;

-- name: find_first_run
-- The run that a ledger began with: by it a workspace is known, wherever it lies.
select run_id
from run
order by run_number
limit 1;

-- name: list_sources
-- What was scanned into the lake.
select distinct source
from listing
where role = 'lake'
order by source;

-- name: count_scans
-- How often scans ended in which way, and when the newest of each did, by its number: a clock may have been wrong.
select status, count(*) as runs, arg_max(finished_at, run_number) as last_finished_at
from run
where command = 'scan' and status <> 'running'
group by status
order by status;

-- name: summarise_run
-- The totals of one run over its shards.
select
    coalesce(sum(data_count), 0)::bigint as data_read,
    coalesce(sum(image_count), 0)::bigint as images,
    coalesce(sum(duplicate_count), 0)::bigint as duplicates,
    coalesce(sum(reject_count), 0)::bigint as rejects,
    coalesce(sum(decoded_count), 0)::bigint as decoded,
    coalesce(sum(byte_count), 0)::bigint as bytes_read,
    coalesce(sum(decode_seconds), 0)::double as decode_seconds,
    coalesce(sum(encode_seconds), 0)::double as encode_seconds
from shard
where run_id = $run_id;

-- name: count_passed_members
-- What one run passed over in archives, most first.
select heading, sum(files)::bigint as files
from passed_member
where run_id = $run_id
group by heading
order by files desc, heading;

-- name: count_rejects_of_run
-- Rejects of one run by stage and reason, most first.
select stage, reason, count(*) as rejects
from reject
where run_id = $run_id
group by stage, reason
order by rejects desc, stage, reason;

-- name: count_outcomes_under
-- Data of the lake under a prefix that a run has read: rejects, and all else.
with rejected as (
    select uri
    from reject
    where run_id = $run_id and role = 'lake' and stage <> 'list' and starts_with(object_uri, $prefix)
)

select
    (select count(*) from rejected) as rejects,
    (
        select count(*)
        from location
        anti join rejected using (uri)
        where location.run_id = $run_id
            and location.role = 'lake'
            and starts_with(location.object_uri, $prefix)
    ) as taken;

-- name: summarise_state
-- What there is to go on with: images of the lake, those that are flagged, and decisions of people.
select
    (select count(*) from report.images) as images,
    (select count(*) from report.flagged) as flagged,
    (select count(*) from main.review) as reviews;
