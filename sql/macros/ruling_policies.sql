-- The policy that rules for each encoder, bank and method: the one chosen or calibrated last, or else the default.
create or replace macro ruling_policies() as table
select policy.*
from main.policy
left join main.run using (run_id)
left join (
    select selection.policy_id, max(chosen_by.run_number) as run_number
    from main.selection
    left join main.run as chosen_by using (run_id)
    group by selection.policy_id
) as chosen using (policy_id)
qualify row_number() over (
    partition by policy.encoder_id, policy.bank_digest, policy.method_id
    order by
        greatest(chosen.run_number, case when policy.rule <> 'default' then run.run_number end) desc nulls last,
        policy.rule = 'default',
        run.run_number desc,
        policy.policy_id
) = 1;
