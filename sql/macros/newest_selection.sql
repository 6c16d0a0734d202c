-- The selection in force: the newest.
create or replace macro newest_selection() as table
select *
from main.selection
where selection_number = (select max(newest.selection_number) from main.selection as newest);
