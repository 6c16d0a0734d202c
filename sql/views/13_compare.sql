-- Every image of the lake under every bank and method that it was scored with, side by side; `flagged` is null where no
-- policy was made for a scoring.
create or replace view report.compare as
select
    images.uri,
    images.image_id,
    scorings.scoring,
    scorings.bank_name,
    scorings.bank_version,
    scorings.method_id,
    score.id_score,
    score.log_odds,
    score.log_odds < case
        when policy.rule = 'fdr' then coalesce(policy_night.min_log_odds, '-infinity')
        else coalesce(policy_class.min_log_odds, scorings.min_log_odds)
    end as flagged,
    percent_rank() over (
        partition by scorings.scoring
        order by score.log_odds
    ) as rank,
    id_label.text as top_id,
    negative_label.text as top_negative,
    scorings.policy_name,
    images.source_label
from report.images as images
join score on score.image_id = images.image_id
join report.scorings as scorings
    on scorings.encoder_id = score.encoder_id
    and scorings.bank_digest = score.bank_digest
    and scorings.method_id = score.method_id
left join policy on policy.policy_id = scorings.policy_id
left join policy_class
    on policy_class.policy_id = scorings.policy_id
    and policy_class.id_label = score.id_label
left join policy_night
    on policy_night.policy_id = scorings.policy_id
    and policy_night.night_run_id = images.first_run_id
    and policy_night.id_label = coalesce(policy_class.id_label, -1)
left join label as id_label
    on id_label.bank_digest = score.bank_digest
    and id_label.label_index = score.id_label
left join label as negative_label
    on negative_label.bank_digest = score.bank_digest
    and negative_label.label_index = score.negative_label;
