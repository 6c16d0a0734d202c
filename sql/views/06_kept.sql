-- The images that the policy keeps as ID.
create or replace view report.kept as
select * exclude (flagged)
from report.scores
where not flagged;
