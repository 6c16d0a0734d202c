-- What the report views show now: encoder, bank, method and policy of the newest selection.
create or replace view report.selection as
select
    selection.encoder_id,
    selection.bank_digest,
    bank.name as bank_name,
    bank.version as bank_version,
    selection.method_id,
    selection.policy_id,
    policy.name as policy_name,
    policy.min_log_odds,
    policy.min_id_score,
    policy.provenance as policy_provenance,
    policy.rule as policy_rule,
    policy.by_class as policy_by_class,
    policy.calibration_id
from main.newest_selection() as selection
left join main.bank on bank.bank_digest = selection.bank_digest
left join main.policy on policy.policy_id = selection.policy_id;
