-- Every image of the lake with its score under the selection in force, the cut below which the policy flags it, and
-- whether it does. The cut of its class goes before that of the policy; under the rule fdr, that of the night it
-- arrived in rules.
create or replace view report.scores as
with scored as (
    select
        images.*,
        images.first_run_id as night_run_id,
        score.* exclude (image_id, run_id),
        selection.bank_name,
        selection.bank_version,
        selection.policy_id,
        selection.policy_name
    from report.images as images
    join score on score.image_id = images.image_id
    join report.selection as selection
        on selection.encoder_id = score.encoder_id
        and selection.bank_digest = score.bank_digest
        and selection.method_id = score.method_id
)

select
    judged.uri,
    judged.image_id,
    judged.id_score,
    judged.log_odds,
    nullif(judged.min_log_odds, '-infinity') as cut,
    judged.flagged,
    id_label.text as top_id,
    judged.id_cosine as top_id_cosine,
    negative_label.text as top_negative,
    judged.negative_cosine as top_negative_cosine,
    judged.copies,
    judged.object_uri,
    judged.member,
    judged.byte_offset,
    judged.byte_size,
    judged.width,
    judged.height,
    judged.format,
    judged.source_label,
    judged.first_seen,
    judged.first_run_id,
    judged.bank_name,
    judged.bank_version,
    judged.method_id,
    judged.policy_name
from judged('scored') as judged
left join label as id_label
    on id_label.bank_digest = judged.bank_digest
    and id_label.label_index = judged.id_label
left join label as negative_label
    on negative_label.bank_digest = judged.bank_digest
    and negative_label.label_index = judged.negative_label;
