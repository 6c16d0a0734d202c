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
    join main.score using (image_id)
    join report.scorings as scorings using (encoder_id, bank_digest, method_id)
)

select
    uri,
    image_id,
    scoring,
    bank_name,
    bank_version,
    method_id,
    id_score,
    log_odds,
    flagged,
    percent_rank() over (
        partition by scoring
        order by log_odds
    ) as rank,
    name,
    top_id,
    top_negative,
    policy_name,
    source_label
from main.labelled('scored');
