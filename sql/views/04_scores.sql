-- Every image of the lake with its score under the selection in force, and whether the policy flags it.
create or replace view report.scores as
select
    images.uri,
    images.image_id,
    score.id_score,
    score.log_odds,
    score.log_odds < selection.min_log_odds as flagged,
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
left join label as id_label
    on id_label.bank_digest = score.bank_digest
    and id_label.label_index = score.id_label
left join label as negative_label
    on negative_label.bank_digest = score.bank_digest
    and negative_label.label_index = score.negative_label;
