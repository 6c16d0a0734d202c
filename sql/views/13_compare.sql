-- Every image of the lake under every bank and method that it was scored with, side by side; `flagged` is null where no
-- policy was made for a scoring.
create or replace view report.compare as
with scored as (
    select
        images.uri,
        images.image_id,
        images.source_label,
        images.first_run_id as night_run_id,
        scorings.scoring,
        scorings.bank_name,
        scorings.bank_version,
        scorings.policy_id,
        scorings.policy_name,
        score.* exclude (image_id, run_id)
    from report.images as images
    join score on score.image_id = images.image_id
    join report.scorings as scorings
        on scorings.encoder_id = score.encoder_id
        and scorings.bank_digest = score.bank_digest
        and scorings.method_id = score.method_id
)

select
    judged.uri,
    judged.image_id,
    judged.scoring,
    judged.bank_name,
    judged.bank_version,
    judged.method_id,
    judged.id_score,
    judged.log_odds,
    judged.flagged,
    percent_rank() over (
        partition by judged.scoring
        order by judged.log_odds
    ) as rank,
    id_label.text as top_id,
    negative_label.text as top_negative,
    judged.policy_name,
    judged.source_label
from judged('scored') as judged
left join label as id_label
    on id_label.bank_digest = judged.bank_digest
    and id_label.label_index = judged.id_label
left join label as negative_label
    on negative_label.bank_digest = judged.bank_digest
    and negative_label.label_index = judged.negative_label;
