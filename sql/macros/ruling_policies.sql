-- The policy that rules for each encoder, bank and method: the one chosen last, else the newest calibrated, or else the
-- default.
create or replace macro ruling_policies() as table
select policy.*
from policy
left join run using (run_id)
left join (
    select policy_id, max(selection_number) as selection_number
    from main.selection
    group by policy_id
) as chosen using (policy_id)
qualify row_number() over (
    partition by policy.encoder_id, policy.bank_digest, policy.method_id
    order by chosen.selection_number desc nulls last, policy.rule = 'default', run.run_number desc, policy.policy_id
) = 1;
