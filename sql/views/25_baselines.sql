-- The nights that were pinned as baselines; `ruling` is the one that reports compare with.
create or replace view report.baselines as
select
    baseline.baseline_number,
    cast(night.started_at as date) as night,
    baseline.night_run_id,
    baseline.encoder_id,
    counted.images,
    baseline.pinned_at,
    coalesce(
        selection.encoder_id is not null
        and baseline.baseline_number = max(baseline.baseline_number) over (partition by baseline.encoder_id),
        false
    ) as ruling
from main.baseline
left join main.run as night on night.run_id = baseline.night_run_id
left join main.newest_selection() as selection on selection.encoder_id = baseline.encoder_id
join (
    select baseline_number, count(*) as images
    from main.baseline_image
    group by baseline_number
) as counted on counted.baseline_number = baseline.baseline_number;
