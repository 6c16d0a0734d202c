-- The images that the policy calls OOD. Order by id_score: the least ID first.
create or replace view report.flagged as
select * exclude (flagged)
from report.scores
where flagged;
