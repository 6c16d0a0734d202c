-- Every image of the lake with its conformal p-value under the selection in force: (1 + references that score as low or
-- lower) / (references + 1). The references are those of the policy, for a policy without a calibration the newest of its
-- bank and method; under a policy by class those of the image's own class, or of all classes without a cut of their own.
create or replace view report.p_values as
with ruling as (
    select
        selection.encoder_id,
        selection.bank_digest,
        selection.method_id,
        selection.policy_id,
        main.ruling_calibration(
            selection.calibration_id, selection.encoder_id, selection.bank_digest, selection.method_id
        ) as calibration_id
    from report.selection as selection
),

classes as (
    select policy_class.id_label
    from main.policy_class
    join ruling on ruling.policy_id = policy_class.policy_id
),

reference as (
    select coalesce(classes.id_label, -1) as category, calibration_score.log_odds, count(*) as images
    from main.calibration_score
    join ruling on ruling.calibration_id = calibration_score.calibration_id
    left join classes on classes.id_label = calibration_score.id_label
    group by category, calibration_score.log_odds
),

steps as (
    select
        category,
        log_odds,
        sum(images) over (
            partition by category
            order by log_odds
        ) as at_most
    from reference
),

sizes as (
    select category, sum(images) as images
    from reference
    group by category
),

images as (
    select
        images.image_id,
        images.first_run_id,
        score.id_score,
        score.log_odds,
        coalesce(classes.id_label, -1) as category,
        score.id_label,
        ruling.bank_digest,
        ruling.calibration_id
    from report.images as images
    join main.score using (image_id)
    join ruling using (encoder_id, bank_digest, method_id)
    left join classes on classes.id_label = score.id_label
    where ruling.calibration_id is not null
)

select
    images.image_id,
    (1 + coalesce(steps.at_most, 0))::bigint / (coalesce(sizes.images, 0) + 1)::bigint as p_value,
    (1 + coalesce(steps.at_most, 0))::bigint as rank,
    coalesce(sizes.images, 0)::bigint as reference_images,
    label.text as class,
    images.id_score,
    images.log_odds,
    images.first_run_id,
    images.calibration_id
from images
asof left join steps
    on steps.category = images.category
    and images.log_odds >= steps.log_odds
left join sizes on sizes.category = images.category
left join main.label
    on label.bank_digest = images.bank_digest
    and label.label_index = nullif(images.category, -1);
