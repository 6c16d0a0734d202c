-- name: find_last_arrivals
-- The newest scan in which an image arrived.
select night.night, night.run_id, run.run_number
from report.night as night
join run on run.run_id = night.run_id
where night.images > 0
order by run.run_number desc
limit 1;

-- name: find_night
-- The newest scan of a date, by its id, or by how its id begins; without any, the newest of all that listed something.
select
    night.night,
    night.run_id,
    run.run_number,
    run.started_at,
    run.finished_at,
    run.version,
    run.error,
    night.* exclude (night, run_id)
from report.night as night
join run on run.run_id = night.run_id
where $night is null
    or cast(night.night as varchar) = $night
    or (length($night) >= 8 and starts_with(night.run_id, $night))
order by run.run_number desc
limit 1;

-- name: list_night_rates
-- The last scans up to one, the oldest first: how many of the images that arrived are scored and flagged.
with newest as (
    select
        night.night,
        night.run_id,
        run.run_number,
        run.started_at,
        night.images,
        night.rejects,
        night.scored,
        night.flagged
    from report.night as night
    join run on run.run_id = night.run_id
    where run.run_number <= $run_number
    order by run.run_number desc
    limit $nights
)

select night, run_id, started_at, images, rejects, scored, flagged
from newest
order by run_number;

-- name: list_arrivals
-- The scored images that arrived in a scan, the least ID first, with the group of each.
select
    arrivals.image_id,
    arrivals.uri,
    arrivals.source_label,
    arrivals.present,
    arrivals.id_score,
    arrivals.log_odds,
    arrivals.cut,
    coalesce(arrivals.flagged, false) as flagged,
    arrivals.name,
    arrivals.name_margin,
    arrivals.top_id,
    arrivals.top_id_cosine,
    arrivals.top_negative,
    arrivals.top_negative_cosine,
    coalesce(members.group_id, arrivals.image_id) as group_id
from report.arrivals as arrivals
left join report.group_members as members on members.image_id = arrivals.image_id
where arrivals.run_id = $run_id
order by arrivals.log_odds, arrivals.image_id;

-- name: list_flagged_before
-- Images that are flagged and arrived before a scan, by their ids, so that the first of them are a sample.
select arrivals.image_id
from report.arrivals as arrivals
join run on run.run_id = arrivals.run_id
where run.run_number < $run_number
    and arrivals.flagged
order by arrivals.image_id
limit $limit;

-- name: list_baseline_scores
-- The images of the ruling baseline with their log-odds under the selection in force.
select image.image_id, score.log_odds
from report.baselines as baseline
join baseline_image as image on image.baseline_number = baseline.baseline_number
join newest_selection() as selection using (encoder_id)
join score using (image_id, encoder_id, bank_digest, method_id)
where baseline.ruling
order by image.image_id;

-- name: show_selection
-- What judges the lake now: encoder, bank, method and policy.
select
    encoder_id,
    bank_name,
    bank_version,
    bank_digest,
    method_id,
    policy_id,
    policy_name,
    policy_rule,
    policy_provenance,
    if(isinf(min_log_odds), null, min_id_score) as min_id_score,
    nullif(min_log_odds, '-infinity') as min_log_odds
from report.selection;

-- name: list_reject_reasons
-- Rejects of one scan by stage and reason, most first, with an example of each.
select stage, reason, count(*) as rejects, min(uri) as example, arg_min(detail, uri) as detail
from reject
where run_id = $run_id
    and role = 'lake'
group by stage, reason
order by rejects desc, stage, reason;

-- name: list_passed_over
-- What one scan passed over, in its listings and in archives, most first, with an address of each.
select place, heading, sum(files)::bigint as files, min(address) as example
from report.passed_over
where run_id = $run_id
group by place, heading
order by files desc, place, heading;

-- name: list_stages
-- The stages of one scan, the slowest first.
select stage, seconds, share
from report.stages
where run_id = $run_id
order by seconds desc, stage;

-- name: list_slowest_shards
-- The shards of one scan that took the most processor time a datum.
select
    shard_id,
    kind,
    data_count as data,
    reject_count as rejects,
    byte_count as bytes,
    decode_seconds,
    encode_seconds,
    1000 * (decode_seconds + encode_seconds) / data_count as milliseconds_per_datum
from shard
where run_id = $run_id
    and role = 'lake'
    and data_count > 0
order by milliseconds_per_datum desc, shard_id
limit $limit;

-- name: insert_baseline
-- Pin a scan as the baseline of an encoder.
insert into baseline
select coalesce(max(baseline_number), 0) + 1, $night_run_id, $encoder_id, $pinned_at, $run_id
from baseline;

-- name: insert_baseline_images
-- The images that arrived in the scan just pinned, or as many as a sample holds; ids are hashes, so the first are one.
insert into baseline_image
select (select max(baseline_number) from baseline), arrivals.image_id, $run_id
from report.arrivals as arrivals
where arrivals.run_id = $night_run_id
order by arrivals.image_id
limit $limit;

-- name: list_baselines
-- The pinned baselines, the newest first.
select baseline_number, night, night_run_id, images, encoder_id, pinned_at, ruling
from report.baselines
order by baseline_number desc;
