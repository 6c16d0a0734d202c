-- Which cut judges a score: of its night under the rule fdr, else of its class, else the policy's own. Takes the name of
-- a relation with policy_id, id_label, night_run_id and log_odds, and adds the cut and the flag to its rows: null without
-- a policy, a cut of -infinity, which flags nothing, where the night has none.
create or replace macro judged(scored_relation) as table
with ruled as (
    select
        scored.*,
        case
            when policy.rule = 'fdr' then coalesce(policy_night.min_log_odds, '-infinity')
            else coalesce(policy_class.min_log_odds, policy.min_log_odds)
        end as min_log_odds,
        case
            when policy.rule = 'fdr' then coalesce(policy_night.min_id_score, 0)
            else coalesce(policy_class.min_id_score, policy.min_id_score)
        end as min_id_score
    from query_table(scored_relation) as scored
    left join main.policy on policy.policy_id = scored.policy_id
    left join main.policy_class
        on policy_class.policy_id = scored.policy_id
        and policy_class.id_label = scored.id_label
    left join main.policy_night
        on policy_night.policy_id = scored.policy_id
        and policy_night.night_run_id = scored.night_run_id
        and policy_night.id_label = coalesce(policy_class.id_label, -1)
)

select *, log_odds < min_log_odds as flagged
from ruled;
