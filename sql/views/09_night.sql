-- One row for each scan of the lake: what was listed, what became of it, how much was flagged, how long it
-- took. Its images are those that it first brought, also those that have left since, as report.arrivals has them.
create or replace view report.night as
with listed as (
    select
        run_id,
        sum(objects_listed) as objects_listed,
        sum(objects_new) as objects_new,
        sum(objects_changed) as objects_changed,
        sum(objects_unchanged) as objects_unchanged,
        sum(objects_gone) as objects_gone,
        sum(bytes_listed) as bytes_listed
    from main.listing
    where role = 'lake'
    group by run_id
),

done as (
    select
        run_id,
        sum(data_count) as data_read,
        sum(image_count) as images,
        sum(duplicate_count) as duplicates,
        sum(reject_count) as rejects,
        sum(decoded_count) as decoded,
        sum(decode_seconds) as decode_seconds,
        sum(encode_seconds) as encode_seconds
    from main.shard
    where role = 'lake'
    group by run_id
),

scored as (
    select seen.first_run_id, seen.night_run_id, score.id_label, score.log_odds, selection.policy_id
    from main.seen_images() as seen
    join main.score using (image_id)
    join main.newest_selection() as selection using (encoder_id, bank_digest, method_id)
),

judged as (
    select
        first_run_id as run_id,
        count(*) as scored,
        count(*) filter (where flagged) as flagged
    from main.judged('scored')
    group by first_run_id
)

select
    cast(run.started_at as date) as night,
    run.run_id,
    run.status,
    listed.objects_listed,
    listed.objects_new,
    listed.objects_changed,
    listed.objects_unchanged,
    listed.objects_gone,
    listed.bytes_listed,
    coalesce(done.data_read, 0) as data_read,
    coalesce(done.images, 0) as images,
    coalesce(done.duplicates, 0) as duplicates,
    coalesce(done.rejects, 0) as rejects,
    coalesce(done.decoded, 0) as decoded,
    coalesce(judged.scored, 0) as scored,
    coalesce(judged.flagged, 0) as flagged,
    judged.flagged / nullif(judged.scored, 0) as flag_rate,
    date_diff('millisecond', run.started_at, run.finished_at) / 1000.0 as seconds,
    done.decode_seconds,
    done.encode_seconds
from main.run
join listed on listed.run_id = run.run_id
left join done on done.run_id = run.run_id
left join judged on judged.run_id = run.run_id
where run.command = 'scan';
