-- Every image of the lake with its score under the selection in force, and whether the policy flags it. The cut of its
-- class goes before that of the policy; under the rule fdr, that of the night it arrived in rules.
create or replace view report.scores as
select
    images.uri,
    images.image_id,
    score.id_score,
    score.log_odds,
    score.log_odds < case
        when selection.policy_rule = 'fdr' then coalesce(policy_night.min_log_odds, '-infinity')
        else coalesce(policy_class.min_log_odds, selection.min_log_odds)
    end as flagged,
    id_label.text as top_id,
    score.id_cosine as top_id_cosine,
    negative_label.text as top_negative,
    score.negative_cosine as top_negative_cosine,
    images.copies,
    images.object_uri,
    images.member,
    images.byte_offset,
    images.byte_size,
    images.width,
    images.height,
    images.format,
    images.source_label,
    images.first_seen,
    images.first_run_id,
    selection.bank_name,
    selection.bank_version,
    selection.method_id,
    selection.policy_name
from report.images as images
join score on score.image_id = images.image_id
join report.selection as selection
    on selection.encoder_id = score.encoder_id
    and selection.bank_digest = score.bank_digest
    and selection.method_id = score.method_id
left join policy_class
    on policy_class.policy_id = selection.policy_id
    and policy_class.id_label = score.id_label
left join policy_night
    on policy_night.policy_id = selection.policy_id
    and policy_night.night_run_id = images.first_run_id
    and policy_night.id_label = coalesce(policy_class.id_label, -1)
left join label as id_label
    on id_label.bank_digest = score.bank_digest
    and id_label.label_index = score.id_label
left join label as negative_label
    on negative_label.bank_digest = score.bank_digest
    and negative_label.label_index = score.negative_label;
