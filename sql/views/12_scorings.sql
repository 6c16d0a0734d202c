-- Each bank and method that images were scored under, with how many of the lake's were (none: an evaluation or a reference
-- alone), and with the policy that would rule: the one chosen last, else the newest calibrated, or else the default.
-- `scoring` names it.
create or replace view report.scorings as
with counted as (
    select score.encoder_id, score.bank_digest, score.method_id, count(present.image_id) as scored
    from main.score
    left join main.present_images() as present on present.image_id = score.image_id
    group by score.encoder_id, score.bank_digest, score.method_id
)

select
    bank.name || '@' || left(counted.bank_digest, 12) || '/' || counted.method_id as scoring,
    bank.name as bank_name,
    bank.version as bank_version,
    counted.bank_digest,
    counted.method_id,
    counted.encoder_id,
    counted.scored,
    ruling.policy_id,
    ruling.name as policy_name,
    ruling.min_log_odds,
    ruling.min_id_score,
    selection.method_id is not null as selected
from counted
left join main.ruling_policies() as ruling using (encoder_id, bank_digest, method_id)
left join main.newest_selection() as selection using (encoder_id, bank_digest, method_id)
left join main.bank on bank.bank_digest = counted.bank_digest;
