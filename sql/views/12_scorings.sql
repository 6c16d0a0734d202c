-- Each bank and method that images were scored under, with the policy that would rule: the one chosen last, else the
-- newest calibrated, or else the default. `scoring` names it.
create or replace view report.scorings as
with counted as (
    select encoder_id, bank_digest, method_id, count(*) as scored
    from score
    group by encoder_id, bank_digest, method_id
),

ruling as (
    select
        policy.encoder_id,
        policy.bank_digest,
        policy.method_id,
        policy.policy_id,
        policy.name,
        policy.min_log_odds,
        policy.min_id_score
    from policy
    left join run on run.run_id = policy.run_id
    left join (
        select policy_id, max(selection_number) as selection_number
        from main.selection
        group by policy_id
    ) as chosen on chosen.policy_id = policy.policy_id
    qualify row_number() over (
        partition by policy.encoder_id, policy.bank_digest, policy.method_id
        order by
            chosen.selection_number desc nulls last, policy.rule = 'default', run.run_number desc, policy.policy_id
    ) = 1
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
left join bank on bank.bank_digest = counted.bank_digest
left join ruling
    on ruling.encoder_id = counted.encoder_id
    and ruling.bank_digest = counted.bank_digest
    and ruling.method_id = counted.method_id
left join report.selection as selection
    on selection.encoder_id = counted.encoder_id
    and selection.bank_digest = counted.bank_digest
    and selection.method_id = counted.method_id;
