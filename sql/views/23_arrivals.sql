-- Every image that ever came into the lake, at the scan that first brought it, with its score under the selection in
-- force and the cut that it is flagged below; also those that have left since (`present`: still there), judged as when
-- they were there.
create or replace view report.arrivals as
with scored as (
    select
        seen.image_id,
        seen.uri,
        seen.source_label,
        seen.present,
        seen.first_run_id,
        seen.night_run_id,
        selection.policy_id,
        score.* exclude (image_id, run_id)
    from main.seen_images() as seen
    join main.score using (image_id)
    join main.newest_selection() as selection using (encoder_id, bank_digest, method_id)
)

select
    run.run_id,
    cast(run.started_at as date) as night,
    labelled.image_id,
    labelled.uri,
    labelled.source_label,
    labelled.present,
    labelled.id_score,
    labelled.log_odds,
    labelled.cut,
    labelled.flagged,
    labelled.name,
    labelled.name_margin,
    labelled.top_id,
    labelled.top_id_cosine,
    labelled.top_negative,
    labelled.top_negative_cosine
from main.labelled('scored') as labelled
join main.run on run.run_id = labelled.first_run_id;
