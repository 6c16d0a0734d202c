-- Every policy: its rule, its cut, what it rests on; `rules`: it does for its bank and method; `selected`: it decides what
-- the report views show as flagged. The cut is null where nothing can be flagged; for the rule fdr no night's lies above.
create or replace view report.policies as
select
    policy.name as policy_name,
    policy.rule,
    policy.level,
    policy.by_class,
    nullif(policy.min_log_odds, '-infinity') as min_log_odds,
    case when not isinf(policy.min_log_odds) then policy.min_id_score end as min_id_score,
    cast(policy.provenance ->> 'n' as integer) as reference_images,
    classes.own_cuts,
    bank.name as bank_name,
    bank.version as bank_version,
    policy.method_id,
    coalesce(scorings.policy_id = policy.policy_id, false) as rules,
    coalesce(selection.policy_id = policy.policy_id, false) as selected,
    policy.created_at,
    policy.policy_id,
    policy.calibration_id,
    policy.encoder_id,
    policy.bank_digest,
    policy.provenance
from main.policy
left join main.bank on bank.bank_digest = policy.bank_digest
left join (
    select policy_id, count(*) as own_cuts
    from main.policy_class
    group by policy_id
) as classes on classes.policy_id = policy.policy_id
left join report.scorings as scorings on scorings.policy_id = policy.policy_id
left join main.newest_selection() as selection on selection.policy_id = policy.policy_id;
