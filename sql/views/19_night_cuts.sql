-- The cuts of nights under policies that hold a false-discovery rate: a row for each class with a cut of its own, one for
-- the rest. The cut is null where the night has no discovery in the class: nothing is flagged.
create or replace view report.night_cuts as
select
    cast(run.started_at as date) as night,
    policy_night.night_run_id,
    policy.name as policy_name,
    policy.level,
    label.text as class,
    policy_night.image_count as images,
    nullif(policy_night.min_log_odds, '-infinity') as min_log_odds,
    case when not isinf(policy_night.min_log_odds) then policy_night.min_id_score end as min_id_score,
    policy_night.policy_id
from main.policy_night
join main.policy on policy.policy_id = policy_night.policy_id
left join main.run on run.run_id = policy_night.night_run_id
left join main.label
    on label.bank_digest = policy.bank_digest
    and label.label_index = nullif(policy_night.id_label, -1);
