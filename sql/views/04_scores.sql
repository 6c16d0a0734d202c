-- Every image of the lake with its score under the selection in force, the cut below which the policy flags it, and
-- whether it does, and what people call it. The cut of its class goes before that of the policy; under the rule fdr, that of the night it
-- arrived in rules.
create or replace view report.scores as
with images as (
    from report.images
),

scored as (
    select
        images.*,
        images.first_run_id as night_run_id,
        score.* exclude (image_id, run_id),
        selection.bank_name,
        selection.bank_version,
        selection.policy_id,
        selection.policy_name
    from main.assessed('images') as images
    join main.score using (image_id)
    join report.selection as selection using (encoder_id, bank_digest, method_id)
)

select
    uri,
    image_id,
    id_score,
    log_odds,
    cut,
    flagged,
    name,
    name_margin,
    top_id,
    top_id_cosine,
    top_negative,
    top_negative_cosine,
    copies,
    object_uri,
    member,
    byte_offset,
    byte_size,
    width,
    height,
    format,
    source_label,
    first_seen,
    first_run_id,
    bank_name,
    bank_version,
    method_id,
    policy_name,
    dark,
    bright,
    blurry,
    low_information,
    odd_aspect
from main.labelled('scored');
