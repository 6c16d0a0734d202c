-- name: inputs_of_copy
-- What the rows of report.locations, report.images and report.scores follow from, each with how many rows it has and the
-- sum of their hashes, by the run that wrote them, or whose images they judge, in any order.
with selection as (
    from report.selection
)

select 'locations' as input, row.run_id as run_id, count(*) as rows, sum(cast(hash(row) as hugeint)) as total
from report.locations as row
group by row.run_id
union all
select 'image', row.run_id, count(*), sum(cast(hash(row) as hugeint))
from main.image as row
group by row.run_id
union all
select 'score', row.run_id, count(*), sum(cast(hash(row) as hugeint))
from main.score as row
semi join selection using (encoder_id, bank_digest, method_id)
group by row.run_id
union all
select 'image_name', row.run_id, count(*), sum(cast(hash(row) as hugeint))
from main.image_name as row
semi join selection using (encoder_id)
group by row.run_id
union all
select 'policy_night', row.night_run_id, count(*), sum(cast(hash(row) as hugeint))
from main.policy_night as row
semi join selection using (policy_id)
group by row.night_run_id
union all
select 'selection', '', count(*), sum(cast(hash(row) as hugeint))
from selection as row
union all
select 'policy', '', count(*), sum(cast(hash(row) as hugeint))
from main.policy as row
semi join selection using (policy_id)
union all
select 'policy_class', '', count(*), sum(cast(hash(row) as hugeint))
from main.policy_class as row
semi join selection using (policy_id)
union all
select 'label', '', count(*), sum(cast(hash(row) as hugeint))
from main.label as row
semi join selection using (bank_digest);
