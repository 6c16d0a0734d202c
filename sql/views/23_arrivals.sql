-- Every image that ever came into the lake, at the scan that first brought it, with its score under the selection in
-- force and the cut that it is flagged below; also those that have left since (`present`: still there).
create or replace view report.arrivals as
with seen as (
    select
        location.image_id,
        min(location.uri) as uri,
        arg_min(location.source_label, location.uri) as source_label,
        min(run.run_number) as run_number,
        bool_or(source_object.gone_run_id is null) as present
    from location
    join source_object
        on source_object.object_uri = location.object_uri
        and source_object.role = location.role
    join run on run.run_id = location.run_id
    where location.role = 'lake'
        and location.image_id is not null
    group by location.image_id
),

judged as (
    select
        seen.*,
        run.run_id,
        cast(run.started_at as date) as night,
        score.id_score,
        score.log_odds,
        case
            when selection.policy_rule = 'fdr' then coalesce(policy_night.min_log_odds, '-infinity')
            else coalesce(policy_class.min_log_odds, selection.min_log_odds)
        end as cut,
        score.bank_digest,
        score.id_label,
        score.id_cosine,
        score.negative_label,
        score.negative_cosine
    from seen
    join run on run.run_number = seen.run_number
    cross join report.selection as selection
    join score
        on score.image_id = seen.image_id
        and score.encoder_id = selection.encoder_id
        and score.bank_digest = selection.bank_digest
        and score.method_id = selection.method_id
    left join report.images as images on images.image_id = seen.image_id
    left join policy_class
        on policy_class.policy_id = selection.policy_id
        and policy_class.id_label = score.id_label
    left join policy_night
        on policy_night.policy_id = selection.policy_id
        and policy_night.night_run_id = coalesce(images.first_run_id, run.run_id)
        and policy_night.id_label = coalesce(policy_class.id_label, -1)
)

select
    judged.run_id,
    judged.night,
    judged.image_id,
    judged.uri,
    judged.source_label,
    judged.present,
    judged.id_score,
    judged.log_odds,
    nullif(judged.cut, '-infinity') as cut,
    judged.log_odds < judged.cut as flagged,
    id_label.text as top_id,
    judged.id_cosine as top_id_cosine,
    negative_label.text as top_negative,
    judged.negative_cosine as top_negative_cosine
from judged
left join label as id_label
    on id_label.bank_digest = judged.bank_digest
    and id_label.label_index = judged.id_label
left join label as negative_label
    on negative_label.bank_digest = judged.bank_digest
    and negative_label.label_index = judged.negative_label;
