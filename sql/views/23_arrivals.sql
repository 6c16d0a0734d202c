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
    from seen_images() as seen
    cross join report.selection as selection
    join score
        on score.image_id = seen.image_id
        and score.encoder_id = selection.encoder_id
        and score.bank_digest = selection.bank_digest
        and score.method_id = selection.method_id
)

select
    run.run_id,
    cast(run.started_at as date) as night,
    judged.image_id,
    judged.uri,
    judged.source_label,
    judged.present,
    judged.id_score,
    judged.log_odds,
    nullif(judged.min_log_odds, '-infinity') as cut,
    judged.flagged,
    id_label.text as top_id,
    judged.id_cosine as top_id_cosine,
    negative_label.text as top_negative,
    judged.negative_cosine as top_negative_cosine
from judged('scored') as judged
join run on run.run_id = judged.first_run_id
left join label as id_label
    on id_label.bank_digest = judged.bank_digest
    and id_label.label_index = judged.id_label
left join label as negative_label
    on negative_label.bank_digest = judged.bank_digest
    and negative_label.label_index = judged.negative_label;
